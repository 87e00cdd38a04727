"""Tests of the group `appliance report`."""

from __future__ import annotations

import pytest

from appliance.cli.main import run_cli


def test_the_group_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A technician who types the bare verb reads which reports there are."""
    assert run_cli(["report", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(verb in told for verb in ("subject-access", "erase", "retire"))
