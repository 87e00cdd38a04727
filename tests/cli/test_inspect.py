from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from appliance import assembly
from appliance.cli.main import run_cli
from appliance.gateway.handshakes import Handshakes
from tests.doubles.school import configuration, load_once


@pytest.mark.slow
def test_a_technician_hears_what_fails_and_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An app that pins is suggested with the lines to add; what is passed on already is not."""
    state = tmp_path / "state"
    monkeypatch.setenv("APPLIANCE_STATE", str(state))
    monkeypatch.setattr(assembly, "load", load_once)
    config = str(configuration(tmp_path))
    assembly.compile_lists(assembly.load(Path(config)).settings, child=False)
    command = ["inspect", "suggestions", "--config", config]
    assert run_cli(command) == 0
    assert "No host" in capsys.readouterr().err
    for host in ("app.example", "1-courier.push.apple.com"):
        for _ in range(3):
            Handshakes(state).failed(
                host, "The client does not trust the proxy's certificate", date(2026, 11, 22)
            )
    assert run_cli(command) == 1
    said = capsys.readouterr()
    assert "app.example" in said.out
    assert "push.apple.com" not in said.out
    assert "app.example: {inspect: never, because: " in said.err
    assert run_cli([*command, "--json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)
    assert one == {"host": "app.example", "failures": 3, "first": "2026-11-22", "last": "2026-11-22"}
