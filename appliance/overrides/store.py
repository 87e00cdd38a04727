"""The overrides of one school: what becomes of a wish, and who said so when.

What lives only here: which step may follow which. Each is one transaction, with its entry in the audit trail
within it: what is not in the trail does not happen, and what was rolled back is told there. An override that
has ended never comes back, whatever the clock says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from appliance.model.grant import State
from appliance.model.need import Need
from appliance.overrides.database import Database
from appliance.overrides.names import NoOverrideError, OverrideError
from appliance.overrides.needs import drop, needs_of
from appliance.overrides.written import COLUMNS, Override, Step, Wish, override_of, what_text, whom_text
from appliance.transactions import noted, settle, unsettled

THE_GATEWAY = "the gateway"
"""Who ends what nobody ended."""

THE_BLOCK_PAGE = "the block page"
"""Who asks where a reader of a block page did: no name, for a group's request names nobody."""

ONLY_NAMED, ALL_CLOSED = "only what is named: ", "nothing more comes with its pages"
"""What a step says that has taken hosts out of what comes with the pages, or all of them."""

_IN_FORCE = f"SELECT {COLUMNS} FROM override WHERE state IN ('granted', 'active')"  # noqa: S608 - our own names

MOST_WAITING = 500
"""Wishes that may wait: no flood may hide what matters. Block pages get half."""


class Trail(Protocol):
    """Where it is kept who did what: the audit trail."""

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Note a step, on the disk when this returns; OSError if it cannot be."""

    def say(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Note what is no step, such as a look; OSError if it cannot be."""

    def newest(self) -> int:
        """Return the number of the newest record of a step; 0 for none. OSError."""

    def not_carried(self, after: int) -> None:
        """Note of each step after that record that it was not carried out. OSError."""


class Overrides:
    """Writes and reads overrides. Moments are seconds since 1970."""

    def __init__(self, database: Database, trail: Trail) -> None:
        self._database = database
        self._trail = trail

    def request(self, wish: Wish, *, by: str, now: float) -> int:
        """Keep a wish and return its number; OverrideError where it can come to nothing."""
        with self._noted() as db:
            return self._add(db, wish, by, now)

    def take_review(self, wish: Wish, *, now: float) -> int | None:
        """Keep a wish from a block page; None where it is known, the same waits, or too many do."""
        same = (
            "SELECT 1 FROM override WHERE review = ? OR (state = 'requested' AND review != '' AND what = ? "
            "AND whom = ?)"
        )
        with self._noted() as db:
            known = db.execute(same, (wish.review, what_text(wish.what), whom_text(wish.whom))).fetchone()
            if known is not None or _count_waiting(db) >= MOST_WAITING // 2:
                return None
            return self._add(db, wish, THE_BLOCK_PAGE, now)

    def grant(
        self,
        number: int,
        role: str,
        *,
        by: str,
        now: float,
        ends: float | None = None,
        note: str = "",
        learns: bool = True,
    ) -> Override:
        """Grant what was asked for, in a role. OverrideError if it cannot be.

        `ends` makes it shorter; without `learns` nothing comes with its pages, whatever was asked for.
        """
        with self._noted(changes=True) as db:
            return self._grant(db, number, role, by=by, now=now, ends=ends, note=note, learns=learns)

    def request_and_grant(self, wish: Wish, role: str, *, by: str, now: float) -> Override:
        """Do both at once, for whoever may; either all of it happens or nothing."""
        with self._noted(changes=True) as db:
            return self._grant(db, self._add(db, wish, by, now), role, by=by, now=now)

    def refuse(self, number: int, *, by: str, now: float, note: str) -> None:
        """Refuse what was asked for; OverrideError unless it waits."""
        with self._noted() as db:
            self._must(db, number, State.REQUESTED)
            self._step(db, number, State.REFUSED, by, now, note)

    def revoke(self, number: int, *, by: str, now: float, note: str) -> None:
        """Take back what was granted; OverrideError unless it is in force or about to be."""
        with self._noted(changes=True) as db:
            self._must(db, number, State.GRANTED, State.ACTIVE)
            self._step(db, number, State.REVOKED, by, now, note)

    def only_named(self, number: int, hosts: Collection[str], *, by: str, now: float) -> list[str]:
        """Take hosts out of what comes with the pages of NUMBER; none stands for all, also for later.

        Returns which they were. OverrideError unless it is in force or about to be, or where one is not among
        them.
        """
        with self._noted(changes=True) as db:
            override = self._must(db, number, State.GRANTED, State.ACTIVE)
            found = drop(db, number, hosts)
            missing = sorted(set(hosts) - set(found))
            if missing:
                raise OverrideError(
                    f"{', '.join(missing)} does not come with the pages of override {number}; "
                    f"`appliance overrides show {number}` says what does"
                )
            if not hosts:
                db.execute("UPDATE override SET learns = 0 WHERE number = ?", (number,))
            note = ", ".join(found) if hosts else ALL_CLOSED
            self._note(db, override, by, now, note)
        return found

    def needs(self, number: int) -> list[Need]:
        """Return what the pages of one override have named of other sites, the first first."""
        return needs_of(self._database, number)

    def advance(self, now: float, left: Mapping[int, float] | None = None) -> list[int]:
        """Begin what is due and end what is over, by the clock or because its time is used up.

        `left` are seconds that overrides may still be in force, by a clock that nobody sets. Returns those
        that ended. Cheap where nothing is due.
        """
        left = left or {}
        if not self._due(now, left):
            return []
        with self._noted(changes=True) as db:
            ended = []
            for override in _waiting(db):
                over = override.wish.ends <= now or left.get(override.number, 1.0) <= 0
                if over and override.state is State.REQUESTED:
                    self._step(db, override.number, State.REFUSED, THE_GATEWAY, now, "nobody decided in time")
                elif over:
                    self._step(db, override.number, State.EXPIRED, THE_GATEWAY, now)
                    ended.append(override.number)
                elif override.state is State.GRANTED and override.wish.starts <= now:
                    self._step(db, override.number, State.ACTIVE, THE_GATEWAY, now)
        return ended

    def keep_left(self, left: Mapping[int, float]) -> None:
        """Remember for how long overrides may still be in force, over a restart; it never grows."""
        with self._database.writing() as db:
            for number, seconds in left.items():
                db.execute("UPDATE override SET left = min(left, ?) WHERE number = ?", (seconds, number))

    def retire(self, before: float, *, now: float) -> int:
        """Forget what ended before a moment, with its steps and what came with it; return how many.

        That, and how many they were, stays in the audit trail, where each of their steps is as well.
        """
        old = "SELECT number FROM override WHERE state IN ('refused', 'expired', 'revoked') AND ended_at < ?"
        with self._database.reading() as db:
            if db.execute(f"{old} LIMIT 1", (before,)).fetchone() is None:
                return 0
        with self._noted() as db:
            db.execute("PRAGMA secure_delete = ON")  # what is gone is overwritten
            numbers = [number for (number,) in db.execute(old, (before,))]
            for number in numbers:
                for table in ("need", "step", "visit", "report", "override"):
                    db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))  # noqa: S608 - our own names
            self._trail.add(
                "retention", "overrides", by=THE_GATEWAY, at=now, of_overrides=float(len(numbers))
            )
        return len(numbers)

    def settle(self) -> None:
        """Note in the audit which steps were rolled back and are not told yet; OverrideError, OSError."""
        with self._database.reading() as db:
            if not unsettled(db, self._trail):
                return
        settle(self._database.writing, self._trail)

    def _noted(self, *, changes: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        return noted(partial(self._database.writing, changes=changes), self._trail)

    def in_force(self) -> list[Override]:
        """Return what is granted or active; rows that cannot be read open nothing. OverrideError."""
        with self._database.reading() as db:
            rows = db.execute(_IN_FORCE).fetchall()
        return [found for row in rows if (found := _readable(row)) is not None]

    def all(self, *, over: bool = False, limit: int = 1000) -> list[Override]:
        """Return what waits, is granted or active, the oldest first; with `over` also what has ended."""
        where = "" if over else "WHERE state IN ('requested', 'granted', 'active')"
        with self._database.reading() as db:
            query = f"SELECT {COLUMNS} FROM override {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 - our own names
            rows = db.execute(query, (limit,)).fetchall()
        return [found for row in reversed(rows) if (found := _readable(row)) is not None]

    def granted(self, theirs: Callable[[str], bool], limit: int = 200) -> list[Override]:
        """Return the newest that were granted by those whose names are `theirs`, the newest first."""
        with self._database.reading() as db:
            known = db.execute("SELECT DISTINCT granted_by FROM override WHERE granted_by != ''").fetchall()
            found: list[Override] = []
            for name in (name for (name,) in known if theirs(name)):
                query = f"SELECT {COLUMNS} FROM override WHERE granted_by = ? ORDER BY number DESC LIMIT ?"  # noqa: S608 - our own names
                rows = db.execute(query, (name, limit)).fetchall()
                found += [one for row in rows if (one := _readable(row)) is not None]
        return sorted(found, key=lambda one: -one.number)[:limit]

    def get(self, number: int) -> Override:
        """Return one override; OverrideError where there is none."""
        with self._database.reading() as db:
            return _get(db, number)

    def steps(self, number: int) -> list[Step]:
        """Return the steps of one override, the first first."""
        with self._database.reading() as db:
            query = "SELECT at, state, by, note FROM step WHERE number = ? ORDER BY rowid"
            return [Step(at, State(state), by, note) for at, state, by, note in db.execute(query, (number,))]

    def _due(self, now: float, left: Mapping[int, float]) -> bool:
        query = (
            "SELECT 1 FROM override WHERE (state IN ('requested', 'granted', 'active') AND ends <= ?)"
            " OR (state = 'granted' AND starts <= ?) LIMIT 1"
        )
        with self._database.reading() as db:
            if db.execute(query, (now, now)).fetchone() is not None:
                return True
            used_up = [number for number, seconds in left.items() if seconds <= 0]
            return any(not _get(db, number).state.over for number in used_up)

    def _add(self, db: sqlite3.Connection, wish: Wish, by: str, now: float) -> int:
        if not wish.what or not wish.whom:
            raise OverrideError("an override says what it opens, and for whom")
        if wish.ends <= max(now, wish.starts):
            raise OverrideError(
                "that time has passed already, or ends before it begins; give one that is to come"
            )
        waiting = _count_waiting(db)
        if waiting >= MOST_WAITING:
            raise OverrideError(
                f"{waiting} requests wait already; decide some first (`appliance overrides list`)"
            )
        number = db.execute(
            "INSERT INTO override (state, what, whom, reason, subject, starts, ends, left, asked_by, "
            "asked_at, granted_by, role, review, learns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, ?)",
            (
                State.REQUESTED.value,
                what_text(wish.what),
                whom_text(wish.whom),
                wish.reason,
                wish.subject,
                wish.starts,
                wish.ends,
                wish.ends - max(now, wish.starts),
                by,
                now,
                wish.review,
                wish.learns,
            ),
        ).lastrowid
        assert number is not None  # noqa: S101 - an INSERT has one
        what, whom = what_text(wish.what), whom_text(wish.whom)
        self._step(db, number, State.REQUESTED, by, now, wish.reason, opens=what, people=whom)
        return number

    def _grant(
        self,
        db: sqlite3.Connection,
        number: int,
        role: str,
        *,
        by: str,
        now: float,
        ends: float | None = None,
        note: str = "",
        learns: bool = True,
    ) -> Override:
        override = self._must(db, number, State.REQUESTED)
        last = override.wish.ends if ends is None else min(ends, override.wish.ends)
        starts = max(override.wish.starts, now)
        if last <= starts:
            raise OverrideError(f"the time of override {number} has passed already; ask for another")
        db.execute(
            "UPDATE override SET granted_by = ?, role = ?, starts = ?, ends = ?, left = ?, learns = ? "
            "WHERE number = ?",
            (by, role, starts, last, last - starts, override.wish.learns and learns, number),
        )
        self._step(db, number, State.GRANTED, by, now, note, role=role, until=_moment(last))
        if starts <= now:
            self._step(db, number, State.ACTIVE, THE_GATEWAY, now)
        return _get(db, number)

    def _must(self, db: sqlite3.Connection, number: int, *states: State) -> Override:
        override = _get(db, number)
        if override.state not in states:
            raise OverrideError(
                f"override {number} is {override.state.value}; `appliance overrides list` shows what can be "
                "decided"
            )
        return override

    def _note(self, db: sqlite3.Connection, override: Override, by: str, now: float, note: str) -> None:
        # A step that leaves it in the state in which it is.
        step = (override.number, now, override.state.value, by, f"{ONLY_NAMED}{note}")
        db.execute("INSERT INTO step VALUES (?, ?, ?, ?, ?)", step)
        self._trail.add("override-only-named", f"override {override.number}", by=by, at=now, hosts=note)

    def _step(
        self,
        db: sqlite3.Connection,
        number: int,
        state: State,
        by: str,
        now: float,
        note: str = "",
        **details: str | float | None,
    ) -> None:
        db.execute("UPDATE override SET state = ? WHERE number = ?", (state.value, number))
        if state.over:
            db.execute("UPDATE override SET ended_at = ? WHERE number = ?", (now, number))
        db.execute("INSERT INTO step VALUES (?, ?, ?, ?, ?)", (number, now, state.value, by, note))
        what, whom = f"override-{state.value}", f"override {number}"
        self._trail.add(what, whom, by=by, at=now, reason=note, **details)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _count_waiting(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM override WHERE state = 'requested'").fetchone()[0])


def _waiting(db: sqlite3.Connection) -> list[Override]:
    query = f"SELECT {COLUMNS} FROM override WHERE state IN ('requested', 'granted', 'active')"  # noqa: S608 - our own names
    return [found for row in db.execute(query).fetchall() if (found := _readable(row)) is not None]


def _get(db: sqlite3.Connection, number: int) -> Override:
    row = db.execute(f"SELECT {COLUMNS} FROM override WHERE number = ?", (number,)).fetchone()  # noqa: S608 - our own names
    found = _readable(row) if row is not None else None
    if found is None:
        raise NoOverrideError(f"there is no override {number}; `appliance overrides list --all` shows them")
    return found


def _readable(row: tuple[object, ...]) -> Override | None:
    try:
        return override_of(row)
    except ValueError:
        return None
