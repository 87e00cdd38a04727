from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance import assembly
from appliance.cli.main import run_cli
from appliance.cli.setup import Setup
from appliance.config.snapshots import HeldError
from appliance.events.audit import Trail
from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.person import Confidence, Person
from tests.doubles.events import access
from tests.doubles.school import edit
from tests.doubles.two import WHY, Typed, in_force, loosen, run, set_up

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow  # each reads a whole policy, some several times


@pytest.fixture
def made(compiled: Setup, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Return a school where two people change the policy, with one version of it in force."""
    monkeypatch.setattr("sys.stdin", Typed())
    return set_up(compiled)


async def _log(state: Path, *hosts: str) -> None:
    prepare(state / DATABASE)
    writer = Writer(state / DATABASE, durable=False, patience=1)
    person = Person("ks2", "class login, portal", Confidence.GROUP, "Class 5A")
    at = datetime.now(UTC) - timedelta(hours=1)
    await writer.write(
        [
            from_access(replace(access(n, at=at), person=person, host=h, url=f"https://{h}/"))
            for n, h in enumerate(hosts)
        ]
    )
    await writer.close()


def test_an_edit_counts_when_a_second_person_has_released_it(made: Setup, capsys: Output) -> None:
    """S-25, S-26: an edit alone changes nothing and is told so; a release by another puts it in force."""
    setup = Setup()
    setup.config = made.config
    asyncio.run(_log(setup.state, "gambling.example", "gambling.example", "www.bbc.co.uk"))
    before = in_force(setup)
    loosen(setup)
    with pytest.raises(HeldError, match="second person"):
        assembly.snapshots(setup.settings).publish()
    assert in_force(setup) == before
    assert run(setup, "propose", "--because", WHY, who="tech") == 0
    shown = capsys.readouterr().out
    assert "newly allowed: 2 requests" in shown
    assert "Class 5A 2" in shown
    assert "+  gambling:" in shown
    assert in_force(setup) == before
    assert run(setup, "release", "1", who="tech") == 2
    assert "is your own" in capsys.readouterr().err
    assert run(setup, "release", "1", who="amy") == 2
    assert "no account of staff" in capsys.readouterr().err
    assert run(setup, "release", "1", who="head") == 0
    assert in_force(setup) != before
    told = [entry["what"] for entry in Trail(setup.state).entries()]
    assert told[-3:] == ["change-propose", "change-release", "policy-in-force"]
    # Back: a proposal as well, for going back may open something.
    assert run(setup, "rollback", before, "--because", "It was not what we wanted.", who="head") == 0
    assert run(setup, "release", "2", who="tech") == 0
    assert in_force(setup) == before


def test_what_was_made_against_an_old_version_is_refused(made: Setup, capsys: Output) -> None:
    """A proposal whose impact nobody has looked at cannot slip in between."""
    setup = Setup()
    setup.config = made.config
    path = loosen(setup)
    assert run(setup, "propose", "--because", WHY, "--days", "0", who="tech") == 0
    edit(path, "A lesson about money.", "Another lesson about money.")
    assert run(setup, "propose", "--because", WHY, "--days", "0", who="tech") == 0
    assert run(setup, "release", "1", who="head") == 0
    assert run(setup, "release", "2", who="head") == 2
    assert "Propose it again" in capsys.readouterr().err
    assert run(setup, "show", "2") == 0
    assert "stale" in capsys.readouterr().out
    assert run(setup, "refuse", "2", "--because", "stale", who="head") == 0
    assert run(setup, "list", "--json") == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["released", "refused"]


def test_opening_a_site_takes_two_and_closing_one_takes_one(made: Setup, capsys: Output) -> None:
    """The emergency block needs one person; what opens something is proposed, and counts once released."""
    setup = Setup()
    setup.config = made.config

    def lists(*arguments: str) -> int:
        return run_cli(["lists", *arguments, "--config", str(setup.config)])

    assert lists("add", "block", "bad.example", "--because", "now") == 0
    assert lists("add", "allow", "maps.example", "--because", "x") == 2
    assert lists("remove", "bad.example") == 2
    assert "appliance changes propose --remove" in capsys.readouterr().err
    wish = ("--because", WHY, "--allow", "maps.example", "--remove", "bad.example")
    assert run(setup, "propose", *wish, who="tech") == 0
    assert run(setup, "release", "1", who="head") == 0
    local = (setup.state / "lists" / "local.jsonl").read_text().splitlines()
    assert [json.loads(line)["act"] for line in local] == ["add", "add", "remove"]


def test_one_person_alone_can_go_back_and_stays_there(compiled: Setup, capsys: Output) -> None:
    """With approval: single a rollback is one command, which edited files do not undo at the next start."""
    store = assembly.snapshots(compiled.settings)
    before = store.publish().version
    path = loosen(compiled)
    edited = store.publish().version
    assert run(compiled, "rollback", "sha256:0000") == 2
    assert run(compiled, "rollback", before) == 0
    assert in_force(compiled) == before
    with pytest.raises(HeldError, match="rolled back"):
        store.publish()
    edit(path, "A lesson about money.", "Another lesson about money.")
    assert store.publish().version not in (before, edited)
    capsys.readouterr()
    assert run(compiled, "list", "--versions", "--json") == 0
    assert sum(each["in_force"] for each in json.loads(capsys.readouterr().out)) == 1


def test_who_acts_is_proved(made: Setup, capsys: Output) -> None:
    """Two people are two passwords: a name alone is none."""
    loosen(made)
    setup = Setup()
    setup.config = made.config
    assert run(setup, "propose", "--because", WHY) == 2
    assert "say who you are" in capsys.readouterr().err
    assert run(setup, "propose", "--because", WHY, who="nobody") == 2
    assert "do not fit" in capsys.readouterr().err


def test_no_proposal_names_what_may_not_be_named(made: Setup, capsys: Output) -> None:
    """A statutory address is not even written down, a help line stays open, and a slip is told at once."""
    setup = Setup()
    setup.config = made.config
    floor = next(
        line.strip()
        for line in (setup.blocklists / "floor-development" / "iwf.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    )
    for wish, said in (
        (("--allow", floor), "statutory list"),
        (("--block", "www.childline.org.uk"), "help line"),
        (("--allow", "co.uk"), "public suffix"),
        (("--allow", "no host"), "give a host"),
    ):
        assert run(setup, "propose", "--because", WHY, *wish, who="tech") == 2
        assert said in capsys.readouterr().err
    assert run(setup, "list", "--json") == 0
    assert capsys.readouterr().out == ""
    assert floor.encode() not in Trail(setup.state).path.read_bytes()
