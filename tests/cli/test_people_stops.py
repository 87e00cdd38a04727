from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.events.holds import held
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.person import Confidence, Person
from tests.doubles.events import BLOCKED, access
from tests.doubles.people import TABLET, School, school
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path) -> School:
    configuration(tmp_path)
    made = school(tmp_path / "state")
    account = made.add("amy")
    made.sessions.begin(account, TABLET, time.time(), time.time() + 99)
    return made


def run(made: School, *arguments: str) -> int:
    return run_cli(["people", *arguments, "--config", str(made.state.parent / "appliance.yaml")])


async def _write(state: Path) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write(
        [from_access(access(decision=BLOCKED, person=Person("ks2", "x", Confidence.CERTAIN, "amy")))]
    )
    await writer.close()


@pytest.mark.slow
def test_a_freeze_stops_holds_and_seals(made: School, capsys: Output) -> None:
    """S-60: one command stops the person, holds the log, and leaves a sealed copy whose hash is told."""
    asyncio.run(_write(made.state))
    assert run(made, "freeze", "Amy", "--reason", "illegal site") == 0
    told = capsys.readouterr().err
    assert "1 records on hold" in told
    (folder,) = (made.state / "held").iterdir()
    assert str(folder) in told
    assert asyncio.run(held(made.state)) == ["amy"]
    assert run(made, "show", "amy", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "frozen"
    assert run(made, "remove", "amy") == 2
    assert run(made, "unfreeze", "amy", "--reason", "cleared") == 0
    assert asyncio.run(held(made.state)) == []
    assert run(made, "unfreeze", "amy") == 2
    assert "is not frozen" in capsys.readouterr().err
    assert [entry["what"] for entry in made.trail.entries()] == ["freeze", "bundle", "unfreeze"]


@pytest.mark.slow
def test_a_freeze_holds_even_where_there_is_no_log(made: School, capsys: Output) -> None:
    """S-60: that evidence could not be kept is told, and stops nobody from being stopped."""
    assert run(made, "freeze", "amy", "--reason", "x") in (0, 1)
    (made.state / DATABASE).write_bytes(b"broken" * 99)
    assert run(made, "freeze", "amy", "--reason", "x") == 1
    assert "could not be put on hold" in capsys.readouterr().err
    assert len(made.stops.in_force(time.time())) == 1
    assert run(made, "freeze", "nobody", "--reason", "x") == 2


@pytest.mark.slow
def test_access_is_removed_for_a_time_and_given_back(made: School, capsys: Output) -> None:
    """S-62: with an end that is told, and back before it where somebody decides so."""
    assert run(made, "remove-access", "amy", "--until", "2020-01-01", "--reason", "x") == 2
    assert "passed already" in capsys.readouterr().err
    assert run(made, "remove-access", "amy", "--until", "2031-01-01", "--reason", "games") == 0
    assert "no access until 2031-01-01 23:59" in capsys.readouterr().err
    assert run(made, "restore", "amy") == 0


@pytest.mark.slow
def test_who_is_signed_in_is_shown_and_ended(made: School, capsys: Output) -> None:
    """S-12: a technician sees who is on which device, and can end it."""
    assert run(made, "signed-in", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["as"], row["address"], row["hardware"]) == (
        "amy",
        "individual",
        TABLET.address,
        TABLET.mac,
    )
    assert run(made, "sign-out", "amy") == 0
    assert run(made, "signed-in") == 0
    assert "amy" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_trail_that_was_changed_is_told(made: School, capsys: Output) -> None:
    """Evidence: `audit` does not show what somebody has altered as if it were whole."""
    assert run(made, "sign-out", "amy") == 0
    assert run(made, "audit") == 0
    assert "the chain is whole" in capsys.readouterr().err
    made.trail.path.write_text('{"before": "x"}\n')
    assert run(made, "audit") == 2
    assert "line 1: is no record" in capsys.readouterr().err
