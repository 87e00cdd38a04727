"""The self-test asked of a gateway that really runs: through its port, its decision, and its log."""

from __future__ import annotations

import pytest

from tests.journeys.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_gateway_that_runs_passes_and_is_on_record(lab: Lab) -> None:
    """DFE-V4, DFE-V5: both statutory lists, over HTTP and HTTPS, each with its record in the log."""
    done = lab.gateway.ask("selftest", "run", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("recorded as") == 2
    assert "all good" in done.stdout
    floor = [row for row in lab.gateway.log(flagged=True) if row["reason"] == "floor"]
    assert {row["category"] for row in floor[-2:]} == {"csam", "terrorism"}
    listed = lab.gateway.ask("selftest", "list", "--json")
    assert '"passed"' in listed.stdout
