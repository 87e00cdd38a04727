"""What is kept while a decision is carried out, and what becomes of it when that does not end."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.changes import database
from appliance.changes.database import BusyError, ChangeError
from appliance.changes.journal import Begun, Journal
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


def release(made: Changes, force: Force, at: float = 2.0) -> None:
    made.release(1, by="head", at=at, current={"policy": "a"}, act=force.act)


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
        made.release(1, by="head", at=2.0, current={"policy": "a"}, act=fail)
    assert (force.now, made.get(1).state) == ("old", State.PROPOSED)
    assert trail.untrue == [("change-release", "change 1", "head")]
    release(made, force)
    assert force.now == "b"


@pytest.mark.parametrize("state", [State.PROPOSED, State.RELEASED])
def test_whoever_looks_after_a_power_cut_knows_which_way(
    tmp_path: Path, made: Changes, force: Force, state: State
) -> None:
    """What the database knows of is kept, and what it does not know of is undone."""
    if state is State.RELEASED:
        release(made, force)
    force.now = "b"
    Journal(tmp_path).write(Begun(1, State.RELEASED, 2.0, {"was": "old"}))
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
        made.release(1, by="head", at=2.0, current={"policy": "a"}, act=fail)
    with pytest.raises(OSError, match="No space"):
        made.refuse(1, by="head", at=3.0, reason="not now")
    assert (force.now, Journal(tmp_path).there(), made.get(1).state) == ("b", True, State.PROPOSED)
    force.stuck = False
    made.refuse(1, by="head", at=4.0, reason="not now")
    assert (force.now, Journal(tmp_path).there(), made.get(1).state) == ("old", False, State.REFUSED)
    assert trail.untrue == [("change-release", "change 1", "head")]


def test_a_damaged_way_back_is_told_and_nothing_is_decided(
    tmp_path: Path, made: Changes, force: Force
) -> None:
    """Whoever wrote into the file is told which it is and what to do, and no state is guessed."""
    path = Journal(tmp_path).path
    for wrong in ("{", '{"number": 1}', "[]"):
        path.write_text(wrong)
        with pytest.raises(ChangeError, match=r"undo\.json: damaged .* move this file away"):
            release(made, force)
    path.unlink()
    release(made, force)


def test_whoever_looks_waits_for_who_decides(
    tmp_path: Path, made: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that takes its time is not taken for one that a power cut ended."""
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    Journal(tmp_path).write(Begun(1, State.RELEASED, 2.0, {"was": "old"}))
    with closing(sqlite3.connect(made.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="try again"):
            made.mend()
    assert Journal(tmp_path).there()


def test_a_record_without_its_step_is_told_at_the_start(made: Changes, trail: Trail) -> None:
    """S-26: a power cut between the audit and the database leaves no proposal that never was."""
    trail.add("change-propose", "change 2", by="tech", at=3.0)
    made.mend()
    assert trail.untrue == []
    made.mend(first=True)
    assert trail.untrue == [("change-propose", "change 2", "tech")]
    made.refuse(1, by="tech", at=4.0, reason="a slip")
    with pytest.raises(ChangeError, match="refused by tech already"):
        made.release(1, by="head", at=5.0, current={"policy": "a"}, act=nothing)
