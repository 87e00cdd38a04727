"""`appliance ca`."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.gateway import ca
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_the_certificate_can_be_compared_and_renewed(tmp_path: Path, capsys: Output) -> None:
    """A technician at a device reads which certificate it should have, and until when."""
    config = str(configuration(tmp_path))
    folder = tmp_path / "state" / "ca"
    ca.ensure_authority(folder, "Westways")
    assert run_cli(["ca", "show", "--config", config]) == 0
    before = capsys.readouterr().out
    assert ca.shown(folder)[1] in before
    assert run_cli(["ca", "renew", "--config", config]) == 0
    told = capsys.readouterr()
    assert "every device" in told.err
    assert told.out != before


@pytest.mark.parametrize("verb", ["show", "renew"])
def test_without_a_ca_it_says_when_there_will_be_one(tmp_path: Path, capsys: Output, verb: str) -> None:
    """Before the first start there is none, which is no traceback."""
    assert run_cli(["ca", verb, "--config", str(configuration(tmp_path))]) == 2
    assert "ca.pem" in capsys.readouterr().err
