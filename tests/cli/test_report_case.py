"""Tests of `appliance report case` as staff type it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import pyzipper

from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.settings import load_settings
from tests.doubles.alerts import book, happen, rules, sighting
from tests.doubles.school import configuration


@pytest.mark.slow
def test_a_case_leaves_encrypted_and_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S-46, S-69: one command makes the file for CPOMS; its name and the audit say nobody's name."""
    config = configuration(tmp_path)
    state = load_settings(config).settings.state
    happen(book(state), rules(), sighting(who="Ada Example"))
    to = tmp_path / "case.zip"
    arguments = ["report", "case", "A-1", "--to", str(to), "--purpose", "CPOMS", "--config", str(config)]
    assert run_cli(arguments) == 0
    (password,) = re.findall(r"(?:[a-z2-9]{5}-){4}[a-z2-9]{5}", capsys.readouterr().err)
    with pyzipper.AESZipFile(to) as archive:
        archive.setpassword(password.encode())
        assert b"Ada Example" in archive.read("case.json")
    noted = Trail(state).entries()
    assert [(entry["what"], entry["whom"]) for entry in noted] == [
        ("case-export", "A-00001"),
        ("case-export-made", "A-00001"),
    ]
    assert "Ada" not in str(noted)
    assert run_cli([*arguments[:2], "A-9", *arguments[3:]]) == 2
