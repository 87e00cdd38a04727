"""What is kept while a decision is carried out, and what becomes of it when that does not end."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.changes import database
from appliance.changes.database import BusyError, ChangeError
from appliance.changes.journal import Journal
from appliance.changes.store import Approval, Changes, Proposal, State
from tests.changes.test_store import Trail, nothing, propose


class Force:
    """What is in force beside the database, which can be stuck."""

    def __init__(self) -> None:
        self.now = "old"
        self.stuck = False

    def before(self, _found: Proposal) -> dict[str, Any]:
        return {"was": self.now}

    def undo(self, _number: int, before: dict[str, Any]) -> None:
        if self.stuck:
            raise OSError(28, "No space left on device")
        self.now = before["was"]

    def act(self, found: Proposal) -> None:
        self.now = found.version


@pytest.fixture
def force() -> Force:
    return Force()


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def made(tmp_path: Path, force: Force, trail: Trail) -> Changes:
    """Return a store with one proposal, in which one person decides."""
    found = Changes(tmp_path, trail, Approval(two=False), means=force)
    propose(found)
    return found


def cut(made: Changes, force: Force, number: int = 1) -> None:
    """Leave what a power cut leaves amid a release: it is in force, and the database knows nothing of it."""
    force.stuck = True
    with pytest.raises(SystemExit):
        made.release(number, by="head", at=2.0, current=lambda: {"policy": "a"}, act=lambda _: sys.exit())
    force.stuck, force.now = False, "b"


def release(made: Changes, force: Force, at: float = 2.0) -> None:
    made.release(1, by="head", at=at, current=lambda: {"policy": "a"}, act=force.act)


def test_nothing_is_kept_once_a_decision_is_on_the_disk(tmp_path: Path, made: Changes, force: Force) -> None:
    """What is kept for the way back is gone with the decision, and a look finds nothing to undo."""
    release(made, force)
    assert (force.now, Journal(tmp_path).there(), made.mend(first=True)) == ("b", False, False)


def test_a_step_that_fails_half_way_goes_back(made: Changes, force: Force, trail: Trail) -> None:
    """S-25: what was in force before an act that failed is in force again, and the audit says so."""

    def fail(found: Proposal) -> None:
        force.act(found)
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input"):
        made.release(1, by="head", at=2.0, current=lambda: {"policy": "a"}, act=fail)
    assert (force.now, made.get(1).state) == ("old", State.PROPOSED)
    assert trail.untrue == [("change-release", "change 1", "head")]
    release(made, force)
    assert force.now == "b"


@pytest.mark.parametrize("state", [State.PROPOSED, State.RELEASED])
def test_whoever_looks_after_a_power_cut_knows_which_way(
    tmp_path: Path, made: Changes, force: Force, state: State
) -> None:
    """What the database knows of is kept, and what it does not know of is undone."""
    cut(made, force)
    if state is State.RELEASED:
        kept = shutil.copy(Journal(tmp_path).path, tmp_path / "kept")
        made.mend()
        release(made, force)
        shutil.copy(kept, Journal(tmp_path).path)
    assert made.mend() is (state is State.PROPOSED)
    assert (force.now, Journal(tmp_path).there()) == ("old" if state is State.PROPOSED else "b", False)


def test_what_cannot_be_undone_now_is_undone_later(
    tmp_path: Path, made: Changes, force: Force, trail: Trail
) -> None:
    """On a full disk nothing else is decided before the way back was gone; it is, once there is room."""
    force.stuck = True

    def fail(found: Proposal) -> None:
        force.act(found)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        made.release(1, by="head", at=2.0, current=lambda: {"policy": "a"}, act=fail)
    with pytest.raises(OSError, match="No space"):
        made.refuse(1, by="head", at=3.0, reason="not now")
    assert (force.now, Journal(tmp_path).there(), made.get(1).state) == ("b", True, State.PROPOSED)
    force.stuck = False
    with pytest.raises(ChangeError, match="undone: look at what is in force, and say it again"):
        made.refuse(1, by="head", at=4.0, reason="not now")
    made.refuse(1, by="head", at=4.0, reason="not now")
    assert (force.now, Journal(tmp_path).there(), made.get(1).state) == ("old", False, State.REFUSED)
    assert trail.untrue == [("change-release", "change 1", "head")]


def test_a_damaged_way_back_is_told_and_nothing_is_decided(
    tmp_path: Path, made: Changes, force: Force
) -> None:
    """Whoever wrote into the file is told which it is and what to do, and no state is guessed."""
    path = Journal(tmp_path).path
    cut(made, force)
    whole = json.loads(path.read_text())
    for wrong in ("{", '{"number": 1}', "[]", "[" * 100_000, json.dumps(whole | {"number": 1e999})):
        path.write_text(wrong)
        with pytest.raises(ChangeError, match=r"undo\.json: damaged .* move this file away"):
            release(made, force)
    path.write_text(json.dumps(whole | {"before": {}}))  # not as whoever kept it wrote it
    with pytest.raises(ChangeError, match=r"undo\.json: damaged .* move this file away"):
        made.mend(first=True)
    path.unlink()
    release(made, force)


@pytest.mark.parametrize("wrong", [{"number": 7}, {"number": 10**30}, {"at": 1.5, "state": "staged"}])
def test_a_way_back_from_another_time_undoes_nothing(
    tmp_path: Path, made: Changes, force: Force, wrong: dict[str, Any]
) -> None:
    """A file that came back with a backup must not open again what was decided since."""
    path = Journal(tmp_path).path
    cut(made, force)
    kept = path.read_text()
    made.mend()
    release(made, force)
    made.take_back(1, by="head", at=3.0, reason="too much", act=nothing)
    path.write_text(json.dumps(json.loads(kept) | wrong))
    with pytest.raises(ChangeError, match=r"does not go with the changes that are kept .* move this file"):
        made.mend(first=True)
    assert (force.now, path.exists()) == ("b", True)


def test_who_waited_for_a_decision_that_was_killed_does_not_go_over_it(
    tmp_path: Path, made: Changes, force: Force
) -> None:
    """Two commands at once, of which one dies: the way back from what it had done is not written over."""
    path = Journal(tmp_path).path
    cut(made, force)
    kept = path.read_text()
    made.mend()
    said = list[str]()

    def second() -> None:
        try:
            release(made, force)
        except ChangeError as error:
            said.append(str(error))

    with closing(sqlite3.connect(made.path, isolation_level=None)) as first:
        first.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        force.now = "b"
        path.write_text(kept)
    waiting.join()
    assert "did not end, and is undone" in said[0]
    assert (force.now, path.exists(), made.get(1).state) == ("old", False, State.PROPOSED)


def test_whoever_looks_waits_for_who_decides(
    tmp_path: Path, made: Changes, force: Force, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that takes its time is not taken for one that a power cut ended."""
    cut(made, force)
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    with closing(sqlite3.connect(made.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="try again"):
            made.mend()
    assert "change 1 is just being decided, or that was ended half way" in Journal(tmp_path).words()
    made.mend()
    assert Journal(tmp_path).words() == ""
    Journal(tmp_path).path.write_text("{")
    assert "move this file away" in Journal(tmp_path).words()


def test_a_record_without_its_step_is_told_at_the_start(made: Changes, trail: Trail) -> None:
    """S-26: a power cut between the audit and the database leaves no proposal that never was."""
    trail.add("change-propose", "change 2", by="tech", at=3.0)
    made.mend()
    assert trail.untrue == []
    made.mend(first=True)
    assert trail.untrue == [("change-propose", "change 2", "tech")]
    made.refuse(1, by="tech", at=4.0, reason="a slip")
    with pytest.raises(ChangeError, match="refused by tech already"):
        made.release(1, by="head", at=5.0, current=lambda: {"policy": "a"}, act=nothing)
