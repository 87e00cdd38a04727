from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from appliance import assembly, holding, releasing
from appliance.changes.held_files import HeldFiles
from appliance.changes.store import ChangeError
from appliance.cli.setup import Setup
from appliance.events.audit import Trail
from appliance.lists.paths import Paths
from appliance.lists.store import Store
from appliance.model.url import parse_host
from tests.doubles.school import edit
from tests.doubles.two import WHY, Typed, call, in_force, loosen, run, set_up

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow  # each reads a whole policy, and compiles lists


@pytest.fixture
def made(compiled: Setup, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Return a school where two people change everything, as it stands once the gateway has started."""
    monkeypatch.setattr("sys.stdin", Typed())
    setup = set_up(compiled)
    holding.begin(setup.settings)
    return setup


def anew(made: Setup) -> Setup:
    """Return the same school as a command that starts now sees it."""
    setup = Setup()
    setup.config = made.config
    return setup


def names(made: Setup, host: str) -> set[str]:
    return {match.list for match in assembly.open_lists(anew(made).settings).lookup(parse_host(host)).matches}


def blocked(made: Setup, capsys: Output, *more: str) -> bool:
    """Tell what `explain` says of a gambling site for a pupil."""
    capsys.readouterr()
    assert call(made, "explain", "--as", "ks2", "--json", *more, "gambling.example") == 0
    return bool(json.loads(capsys.readouterr().out)["action"] == "block")


def test_an_edit_of_the_lists_counts_once_released(made: Setup, capsys: Output) -> None:
    """S-25: a help line that was put in opens nothing until a second person says so."""
    folder = made.config.parent / "blocklists"
    line = "  - {id: mine, name: Mine, about: nothing, addresses: [gambling.example]}\n"
    edit(folder / "help.yaml", "lines:\n", f"lines:\n{line}")
    assert call(made, "lists", "compile") == 0
    assert "help:mine" not in names(made, "gambling.example")
    assert call(made, "check") == 0
    assert "help.yaml edited and not in force" in capsys.readouterr().err
    assert run(made, "propose", "--because", WHY, who="tech") == 0
    shown = capsys.readouterr().out
    assert "+  - {id: mine" in shown
    assert "help:mine" not in names(made, "gambling.example")
    assert run(made, "release", "1", who="tech") == 2
    assert run(made, "release", "1", who="head") == 0
    assert "help:mine" in names(made, "gambling.example")
    assert run(made, "propose", "--because", WHY, who="tech") == 2
    assert "nothing is changed" in capsys.readouterr().err


def test_one_person_cannot_switch_two_people_off(made: Setup, capsys: Output) -> None:
    """S-26, T:207: neither approval nor approvers are changed by an edit of the file; where mail goes is."""
    text = made.config.read_text()
    made.config.write_text(
        text.replace(
            "approval: two, approvers: [Head, amy, tech, dsl]", "approval: single, approvers: [tech]"
        )
        + "alerts: {heartbeat: '08:10'}\n"
    )
    setup = anew(made)
    assert setup.settings.changes.approval == "two"
    assert setup.settings.changes.approvers == ("Head", "amy", "tech", "dsl")
    assert setup.settings.alerts.heartbeat == "08:10"
    assert call(made, "lists", "add", "allow", "bad.example", "--because", "x") == 2
    assert call(made, "check") == 0
    assert "changes.approval" in capsys.readouterr().err
    assert run(made, "propose", "--because", WHY, "--days", "0", who="tech") == 0
    assert '-changes.approval: "two"' in capsys.readouterr().out
    assert run(made, "release", "1", who="head") == 0
    assert anew(made).settings.changes.approval == "single"


def test_damaged_agreements_are_told_and_open_nothing(made: Setup, capsys: Output) -> None:
    """Half a file of what two people agreed on is no reason to believe one of them."""
    made.config.write_text(made.config.read_text().replace("approval: two", "approval: single"))
    path = made.state / "changes" / "settings.json"
    path.write_text(path.read_text()[:-200])
    assert call(made, "lists", "add", "allow", "bad.example", "--because", "x") == 2
    assert "restore it from the last backup" in capsys.readouterr().err


def test_lists_that_shrink_take_two_and_what_closes_takes_one(
    made: Setup, tmp_path: Path, capsys: Output
) -> None:
    """A list is dropped, rolled back, or opened by two people; one may still import what only closes."""
    bets = tmp_path / "bets.txt"
    bets.write_text("one.example\ntwo.example\n")
    assert call(made, "lists", "import", str(bets), "--category", "gambling") == 0
    bets.write_text("one.example\n")
    assert call(made, "lists", "import", str(bets), "--category", "gambling") == 2
    assert call(made, "lists", "import", str(bets), "--category", "education", "--id", "good") == 2
    assert call(made, "lists", "drop", "bets") == 2
    assert call(made, "lists", "rollback", "bets") == 2
    assert call(made, "lists", "update", "--accept") == 2
    assert "changes propose --drop bets" in capsys.readouterr().err
    assert run(made, "propose", "--because", WHY, "--drop", "bets", who="tech") == 0
    assert Store(Paths(made.state)).ids() == ("bets",)
    assert run(made, "release", "1", who="head") == 0
    assert Store(Paths(made.state)).ids() == ()
    assert run(made, "propose", "--because", WHY, "--drop", "bets", who="tech") == 2
    wish = ("--import", str(bets), "--category", "education", "--id", "good")
    assert run(made, "propose", "--because", WHY, *wish, who="tech") == 0
    bets.write_text("three.example\n")  # what was looked at is what is released
    assert run(made, "release", "2", who="head") == 0
    assert names(made, "one.example") == {"good"}
    assert names(made, "three.example") == set()


def test_a_change_counts_for_some_first(made: Setup, capsys: Output) -> None:
    """S-25: staged for one network, it is that network's alone, until it is widened; then it can return."""
    before = in_force(made)
    loosen(made)
    assert run(made, "propose", "--because", WHY, "--days", "0", who="tech") == 0
    assert run(made, "release", "1", "--first", "Nowhere", who="head") == 2
    assert "Classrooms" in capsys.readouterr().err
    assert run(made, "release", "1", "--first", "Classrooms", who="head") == 0
    assert in_force(made) == before
    found = assembly.snapshots(made.settings).staged()
    assert found is not None
    assert found[0].shown == "Classrooms"
    assert run(made, "list") == 0
    assert "staged" in capsys.readouterr().out
    assert blocked(made, capsys, "--client", "10.20.0.5") is False
    assert blocked(made, capsys, "--client", "10.21.0.5") is True
    assert run(made, "widen", "1", who="tech") == 2
    assert run(made, "widen", "1", who="head") == 0
    assert in_force(made) == found[1].version
    assert assembly.snapshots(made.settings).staged() is None
    assert run(made, "return", "1", "--because", "it was too much", who="tech") == 0
    assert in_force(made) == before
    told = [entry["what"] for entry in Trail(made.state).entries()]
    assert told[-4:] == ["change-widen", "policy-in-force", "change-return", "policy-in-force"]


def test_what_one_person_closes_is_looked_at_by_another(made: Setup, capsys: Output) -> None:
    """S-26: an emergency block counts at once, stays on the list, and is no business of who did it alone."""
    verb = ("lists", "add", "block", "bad.example", "--because", "now", "--as", "head", "--stdin")
    assert call(made, *verb) == 0
    assert "local" in names(made, "bad.example")
    assert run(made, "list") == 0
    assert "blocked bad.example" in capsys.readouterr().out
    assert run(made, "seen", "1", who="head") == 2
    assert "what you did" in capsys.readouterr().err
    assert run(made, "seen", "1", who="amy") == 2
    assert run(made, "seen", "1", who="dsl") == 0
    assert releasing.notices(made.settings).open() == []
    assert run(made, "seen", "1", who="tech") == 2


def test_ten_thousand_proposals_are_listed_page_by_page(made: Setup, capsys: Output) -> None:
    """Issue 6: many proposals are no load on whoever lists, shows or makes one."""
    store = releasing.changes(made.settings)
    first = store.propose("a", "b", (), reason=WHY, by="tech", at=1.0, impact={})
    with store._db.writing() as db:
        db.executemany(
            "INSERT INTO proposal (state, base, version, entries, reason, by, at, impact, decided_by, words) "
            "VALUES ('proposed', 'a', 'b', '[]', ?, 'tech', 1.0, '{}', '', '')",
            [(f"{WHY} {number}",) for number in range(10_000)],
        )
    started = time.process_time()
    assert run(made, "list", "--json") == 0
    page = [json.loads(line)["number"] for line in capsys.readouterr().out.splitlines()]
    assert page == list(range(9_952, 10_002))
    assert run(made, "list", "--json", "--before", "9952") == 0
    assert len(capsys.readouterr().out.splitlines()) == 50
    assert store.get(first.number).number == 1
    assert store.propose("a", "b", (), reason=WHY, by="tech", at=1.0, impact={}).number == 10_002
    assert time.process_time() - started < 2


def test_what_was_kept_can_be_named_and_nothing_else(made: Setup) -> None:
    """A version names a copy in the state folder, and never another place."""
    files = HeldFiles(made.state)
    for wrong in ("../../etc", "sha256:../x", "", "sha256:00"):
        with pytest.raises(ChangeError):
            files.kept_blocklists(wrong)
