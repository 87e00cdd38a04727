"""Tests of `appliance report subject-access`, `erase` and `retire` as staff type them."""

from __future__ import annotations

import asyncio
import io
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pyzipper

from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.events.holds import hold
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from tests.doubles.events import BLOCKED, access
from tests.doubles.people import School, school
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow  # each makes databases and reads a whole configuration


@pytest.fixture
def made(tmp_path: Path) -> School:
    """Return a school with one pupil, of whom the log knows one flagged access of last week."""
    configuration(tmp_path)
    made = school(tmp_path / "state")
    made.add("Ada Example")
    asyncio.run(_write(made.state))
    return made


async def _write(state: Path) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    week = datetime.now(UTC) - timedelta(days=7)
    await writer.write([from_access(access(decision=BLOCKED, at=week))])
    await writer.close()


def run(made: School, *arguments: str) -> int:
    return run_cli(["report", *arguments, "--config", str(made.state.parent / "appliance.yaml")])


def test_a_bundle_is_locked_and_its_password_shown_once(made: School, capsys: Output) -> None:
    """S-68, S-69: the file and its password go different ways, and the audit knows purpose and digest."""
    to = made.state.parent / "ada.zip"
    assert run(made, "subject-access", "ada example", "--to", str(to), "--purpose", "asked by parent") == 0
    told = capsys.readouterr()
    assert told.out == ""
    (password,) = re.findall(r"(?:[a-z2-9]{5}-){4}[a-z2-9]{5}", told.err)
    with pyzipper.AESZipFile(to) as archive:
        archive.setpassword(password.encode())
        assert b"www.bets.example" in archive.read("accesses.csv")
    noted = Trail(made.state).entries()
    assert [(entry["what"], entry.get("purpose")) for entry in noted] == [
        ("subject-access", "asked by parent"),
        ("subject-access-made", None),
    ]
    assert noted[1]["digest"] in told.err
    assert password not in str(noted)
    assert run(made, "subject-access", "ada example", "--to", str(to), "--purpose", "again") == 2


def test_a_typed_password_is_not_shown_and_must_be_long(
    made: School, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever types one knows it; a short one is refused, and nothing is written."""
    to = made.state.parent / "ada.zip"
    arguments = ("subject-access", "Ada Example", "--to", str(to), "--purpose", "x", "--typed")
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert run(made, *arguments) == 2
    assert not to.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough password\n"))
    capsys.readouterr()
    assert run(made, *arguments) == 0
    assert "a long enough" not in "".join(capsys.readouterr())


def test_a_folder_says_that_it_is_open(made: School, capsys: Output) -> None:
    """A plain folder is possible on the gateway, with a warning."""
    to = made.state.parent / "out"
    assert run(made, "subject-access", "Ada Example", "--to", str(to), "--purpose", "x", "--folder") == 0
    assert "not encrypted" in capsys.readouterr().err
    assert sorted(path.name for path in to.iterdir()) == [
        "README.txt",
        "accesses.csv",
        "everything-else.json",
    ]


def test_nothing_is_made_without_a_purpose(made: School, capsys: Output) -> None:
    """S-52: whoever looks at a child's data says why."""
    to = made.state.parent / "ada.zip"
    assert run(made, "subject-access", "Ada Example", "--to", str(to), "--purpose", " ") == 2
    assert "purpose" in capsys.readouterr().err
    assert not to.exists()


def test_an_erasure_asks_first_and_a_hold_refuses_it(
    made: School, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody erases by a slip of the hand, and nobody while the police may ask."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(made, "erase", "Ada Example", "--reason", "left") == 130
    asyncio.run(hold(made.state, "Ada Example", time.time()))
    assert run(made, "erase", "Ada Example", "--reason", "left", "--yes") == 1
    assert "legal hold" in capsys.readouterr().out
    assert made.accounts.find("Ada Example") is not None


def test_a_mistyped_name_does_not_look_like_somebody_of_whom_nothing_is_kept(
    made: School, capsys: Output
) -> None:
    """An answer to a parent that is empty because of a letter would be a wrong one."""
    to = made.state.parent / "none.zip"
    assert run(made, "subject-access", "Ada Exampel", "--to", str(to), "--purpose", "asked") == 0
    assert "no account, no access and no case has this name" in capsys.readouterr().err
    assert run(made, "erase", "ada EXAMPLE", "--reason", "left", "--yes") == 0
    assert "ada EXAMPLE: kept as Ada Example" in capsys.readouterr().err
    with pyzipper.AESZipFile(to) as archive:
        archive.setpassword(b"aaaaa-bbbbb-ccccc-ddddd-eeeee")
        with pytest.raises(RuntimeError, match="Bad password"):
            archive.read("accesses.csv")


def test_an_erasure_tells_line_by_line(made: School, capsys: Output) -> None:
    """What went and what stays is said in words that can be passed on."""
    assert run(made, "erase", "Ada Example", "--reason", "left", "--yes") == 0
    told = capsys.readouterr().out
    assert "erased  1 accesses" in told
    assert "stays   the audit trail" in told
    assert made.accounts.find("Ada Example") is None


def test_retire_says_what_went(made: School, capsys: Output) -> None:
    """A timer does what `run` does every hour, where workers are units of their own."""
    assert run(made, "retire") == 0
    assert capsys.readouterr().out == ""
    config = made.state.parent / "appliance.yaml"
    terms = "events: {retention_days: {url: {ordinary: 1, flagged: 2}}}\n"
    config.write_text(config.read_text(encoding="utf-8") + terms, encoding="utf-8")
    assert run(made, "retire") == 0
    assert "1 rows, until" in capsys.readouterr().out
    assert Trail(made.state).entries()[-1]["what"] == "retention"
