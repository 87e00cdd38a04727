from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.model.grant import State
from appliance.overrides.database import Database
from appliance.overrides.names import OverrideError
from appliance.overrides.store import MOST_WAITING, Overrides
from tests.overrides.making import HOUR, NOW, make, wish


def test_every_step_has_who_and_when_and_is_in_the_trail(tmp_path: Path) -> None:
    """T:260: any request is auditable, from the wish to the end."""
    made = make(tmp_path)
    number = made.store.request(wish(), by="mr.smith", now=NOW)
    made.store.grant(number, "teacher", by="mrs.jones", now=NOW + 1)
    made.store.revoke(number, by="head", now=NOW + 2, note="The lesson is over.")
    steps = [(step.state, step.by, step.at) for step in made.store.steps(number)]
    assert steps == [
        (State.REQUESTED, "mr.smith", NOW),
        (State.GRANTED, "mrs.jones", NOW + 1),
        (State.ACTIVE, "the gateway", NOW + 1),
        (State.REVOKED, "head", NOW + 2),
    ]
    assert [(entry["what"], entry["by"]) for entry in made.trail.kept] == [
        (f"override-{state.value}", by) for state, by, _ in steps
    ]
    assert made.trail.kept[0]["opens"] == '{"hosts": ["bets.example"], "pages": [], "categories": []}'


def test_what_is_not_in_the_trail_does_not_happen(tmp_path: Path) -> None:
    """A full disk under the audit trail keeps everything closed."""
    made = make(tmp_path)
    made.trail.broken = OSError(errno.ENOSPC, "no space")
    with pytest.raises(OSError, match="no space"):
        made.granted()
    assert made.store.all(over=True) == []
    made.trail.broken = None
    number = made.granted()
    made.trail.broken = OSError(errno.ENOSPC, "no space")
    with pytest.raises(OSError, match="no space"):
        made.store.revoke(number, by="head", now=NOW, note="")
    assert made.store.get(number).state is State.ACTIVE


def test_only_what_waits_can_be_decided_and_only_once(tmp_path: Path) -> None:
    """Two people who decide at the same moment do not undo each other."""
    made = make(tmp_path)
    number = made.store.request(wish(), by="a", now=NOW)
    made.store.refuse(number, by="b", now=NOW, note="Not for this age.")
    for late in (
        lambda: made.store.grant(number, "teacher", by="c", now=NOW),
        lambda: made.store.refuse(number, by="c", now=NOW, note=""),
        lambda: made.store.revoke(number, by="c", now=NOW, note=""),
    ):
        with pytest.raises(OverrideError, match="is refused"):
            late()
    with pytest.raises(OverrideError, match="there is no override 99"):
        made.store.grant(99, "teacher", by="c", now=NOW)


def test_a_time_that_has_passed_is_refused(tmp_path: Path) -> None:
    """What can come to nothing is not kept, and a request that waited too long is not granted."""
    made = make(tmp_path)
    for starts, ends in ((NOW, NOW), (NOW - HOUR, NOW - 1), (NOW + HOUR, NOW + 1)):
        with pytest.raises(OverrideError, match="has passed"):
            made.store.request(wish(starts, ends), by="a", now=NOW)
    number = made.store.request(wish(), by="a", now=NOW)
    with pytest.raises(OverrideError, match="has passed"):
        made.store.grant(number, "teacher", by="b", now=NOW + HOUR)


def test_a_grant_can_be_shorter_than_the_wish_and_never_longer(tmp_path: Path) -> None:
    """Whoever grants can take time away, and cannot add some to what was asked."""
    made = make(tmp_path)
    first, second = (made.store.request(wish(), by="a", now=NOW) for _ in range(2))
    assert made.store.grant(first, "teacher", by="b", now=NOW, ends=NOW + 60).wish.ends == NOW + 60
    assert made.store.grant(second, "teacher", by="b", now=NOW, ends=NOW + 9 * HOUR).wish.ends == NOW + HOUR


def test_it_begins_and_ends_by_itself(tmp_path: Path) -> None:
    """Nobody can forget one: what is due begins, what is over ends, what nobody decided is refused."""
    made = make(tmp_path)
    later = made.granted(NOW + HOUR, NOW + 2 * HOUR)
    waiting = made.store.request(wish(), by="a", now=NOW)
    assert made.store.get(later).state is State.GRANTED
    assert made.store.advance(NOW + 1) == []
    assert made.store.advance(NOW + HOUR) == []
    assert (made.store.get(later).state, made.store.get(waiting).state) == (State.ACTIVE, State.REFUSED)
    assert made.store.advance(NOW + 2 * HOUR) == [later]
    assert made.store.get(later).state is State.EXPIRED
    assert made.store.in_force() == []


def test_what_has_ended_never_comes_back(tmp_path: Path) -> None:
    """A clock that is set back gives nobody a second lesson."""
    made = make(tmp_path)
    number = made.granted()
    assert made.store.advance(NOW + HOUR) == [number]
    assert made.store.advance(NOW) == []
    assert made.store.get(number).state is State.EXPIRED
    with pytest.raises(OverrideError):
        made.store.grant(number, "teacher", by="b", now=NOW)


def test_time_that_is_used_up_ends_it_whatever_the_clock_says(tmp_path: Path) -> None:
    """With the clock set back an hour, a lesson of an hour is still a lesson of an hour."""
    made = make(tmp_path)
    number = made.granted()
    made.store.keep_left({number: 120.0})
    made.store.keep_left({number: 900.0})
    assert made.store.get(number).left == 120.0, "what is left never grows"
    assert made.store.advance(NOW - HOUR, {number: 0.0}) == [number]
    assert made.store.advance(NOW - HOUR, {number: 0.0}) == [], "and ends once"


def test_a_flood_of_requests_is_stopped(tmp_path: Path) -> None:
    """The one request that matters must not drown."""
    made = make(tmp_path)
    with made.database.writing() as db:
        made.store._add(db, wish(), "a", NOW)
        copy = "INSERT INTO override SELECT NULL, state, what, whom, reason, subject, starts, ends, left, "
        copy += "asked_by, asked_at, granted_by, role, ended_at, review, learns FROM override"
        for _ in range(9):
            db.execute(copy)
    assert len(made.store.all()) == 512 > MOST_WAITING
    with pytest.raises(OverrideError, match="wait already"):
        made.store.request(wish(), by="a", now=NOW)


def test_a_damaged_row_opens_nothing_and_hides_nothing_else(tmp_path: Path) -> None:
    """One row that cannot be read must not close the lesson next door, or open anything."""
    made = make(tmp_path)
    first, second = made.granted(), made.granted()
    with made.database.writing() as db:
        db.execute("UPDATE override SET what = 'x' WHERE number = ?", (first,))
    assert [one.number for one in made.store.in_force()] == [second]
    assert [one.number for one in made.store.all()] == [second]
    assert made.store.advance(NOW + 2 * HOUR) == [second]


def test_what_ended_long_ago_is_forgotten_and_what_is_open_never(tmp_path: Path) -> None:
    """DP-5: who opened what for whom is kept for its term; that it went is in the trail, once."""
    made = make(tmp_path)
    old, young, running = made.granted(), made.granted(), made.granted(ends=NOW + 1000 * HOUR)
    with made.database.writing() as db:
        db.execute("INSERT INTO need VALUES (?, 'a.example', 'b.example', 1, 0, '', 0)", (old,))
    made.store.revoke(old, by="head", now=NOW + 1, note="")
    made.store.revoke(young, by="head", now=NOW + 500 * HOUR, note="")
    assert made.store.retire(NOW, now=NOW + 600 * HOUR) == 0
    assert made.store.retire(NOW + 2, now=NOW + 600 * HOUR) == 1
    assert made.store.retire(NOW + 2, now=NOW + 600 * HOUR) == 0
    assert [one.number for one in made.store.all(over=True)] == [young, running]
    assert made.store.steps(old) == []
    assert made.store.needs(old) == []
    assert [entry["of_overrides"] for entry in made.trail.kept if entry["what"] == "retention"] == [1.0]
    assert made.granted() > running, "a number is never used again: the log names it"
    made.trail.broken = OSError(errno.ENOSPC, "no space")
    with pytest.raises(OSError, match="no space"):
        made.store.retire(NOW + 501 * HOUR, now=NOW + 600 * HOUR)
    assert made.store.get(young).number == young


def test_two_grants_that_overlap_end_each_by_itself(tmp_path: Path) -> None:
    """Two teachers open one site: whoever takes theirs back leaves the other's as it is."""
    made = make(tmp_path)
    one, other = made.granted(ends=NOW + HOUR), made.granted(ends=NOW + 2 * HOUR)
    made.store.revoke(other, by="a", now=NOW + 1, note="")
    assert [each.number for each in made.store.in_force()] == [one]
    again = made.granted(ends=NOW + 3 * HOUR)
    assert made.store.advance(NOW + HOUR) == [one]
    assert [each.number for each in made.store.in_force()] == [again]


def test_while_the_database_is_locked_nothing_is_granted(tmp_path: Path) -> None:
    """Somebody who holds the file makes a grant a refusal in words, with nothing half done."""
    made = make(tmp_path)
    before = made.granted()
    noted = len(made.trail.kept)
    store = Overrides(Database(tmp_path, patience=0.01), made.trail)
    with closing(sqlite3.connect(made.database.path, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        with pytest.raises(OverrideError, match=r"locked.*nothing has changed"):
            store.request_and_grant(wish(), "teacher", by="mrs.jones", now=NOW)
        assert [one.number for one in store.in_force()] == [before], "what is in force can still be read"
    assert len(made.trail.kept) == noted
    assert [one.number for one in store.all(over=True)] == [before]
