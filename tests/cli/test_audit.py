from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.events import verify_audit
from appliance.events.audit import Trail
from tests.doubles.people import NOW
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow  # each makes a database or reads a whole configuration


@pytest.fixture
def state(tmp_path: Path) -> Path:
    configuration(tmp_path)
    trail = Trail(tmp_path / "state")
    trail.path.parent.parent.mkdir()
    for name in ("amy", "ben\x1b[2J", "cat"):
        trail.add("freeze", name, by="head", at=NOW, reason="illegal site")
    return tmp_path / "state"


def run(state: Path, *arguments: str) -> int:
    return run_cli(["audit", *arguments, "--config", str(state.parent / "appliance.yaml")])


def test_what_was_done_is_shown(state: Path, capsys: Output) -> None:
    """S-60: who did what to whom, for people and for programs; nothing in it steers a terminal."""
    assert run(state, "list") == 0
    shown = capsys.readouterr()
    assert "illegal site" in shown.out
    assert "\x1b" not in shown.out
    assert "3 records; the chain is whole" in shown.err
    assert run(state, "list", "--json", "--limit", "1") == 0
    assert json.loads(capsys.readouterr().out)["whom"] == "cat"


def test_a_changed_audit_is_found_and_its_place_told(state: Path, capsys: Output) -> None:
    """Evidence: one command tells whether the audit can be relied upon."""
    assert run(state, "verify") == 0
    assert "no checkpoint was at hand" in capsys.readouterr().err
    path = Trail(state).path
    path.write_bytes(path.read_bytes().replace(b"amy", b"eve"))
    assert run(state, "verify", "--json") == 1
    assert "line 2: " in json.loads(capsys.readouterr().out)["findings"][0]
    assert run(state, "list") == 2


def test_a_checkpoint_is_printed_and_shows_what_was_cut_off(state: Path, capsys: Output) -> None:
    """A governor's sheet of paper is enough to find out that the end was removed."""
    assert run(state, "checkpoint") == 0
    kept = state.parent / "kept.txt"
    kept.write_text(capsys.readouterr().out)
    assert run(state, "verify", "--checkpoint", str(kept)) == 0
    path = Trail(state).path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert run(state, "verify", "--checkpoint", str(kept)) == 1
    assert "records 3 to 4 are missing" in capsys.readouterr().out


def test_an_export_is_checked_elsewhere(state: Path, capsys: Output) -> None:
    """What leaves the box can be checked by the one file that leaves it as well, and leaving is recorded."""
    archive, program = state.parent / "audit.zip", state.parent / "verify.py"
    assert run(state, "export", str(archive)) == 0
    assert run(state, "verifier", str(program)) == 0
    assert verify_audit.main([str(archive)]) == 0
    assert "the chain is whole" in capsys.readouterr().out
    assert program.read_bytes() == Path(verify_audit.__file__).read_bytes()
    assert Trail(state).entries()[3]["what"] == "audit-export"
    assert run(state, "export", str(archive)) == 2
    assert run(state, "verifier", str(program)) == 2


def test_where_there_is_none_it_is_told(tmp_path: Path, capsys: Output) -> None:
    """A wrong state folder is no clean record."""
    configuration(tmp_path)
    assert run(tmp_path / "state", "verify") == 2
    assert "no audit yet" in capsys.readouterr().err


def test_an_audit_that_is_gone_is_found_and_a_slip_in_a_fingerprint_is_told_as_one(
    state: Path, capsys: Output
) -> None:
    """Who takes the whole file away meets its checkpoints; a half copied fingerprint accuses nobody."""
    assert run(state, "checkpoint") == 0
    capsys.readouterr()
    assert run(state, "verify", "--fingerprint", "3f09...") == 1
    said = capsys.readouterr().out
    assert "'3f09...': is no fingerprint of a key" in said
    assert "somebody has made a new key" not in said
    Trail(state).path.unlink()
    assert run(state, "verify") == 1
    assert "records 1 to 4 are missing: the end was cut off" in capsys.readouterr().out
