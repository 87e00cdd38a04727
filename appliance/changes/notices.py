"""What one person did, or the gateway by itself, and somebody else is to look at.

What lives only here: that it stays on the list until another person than the one who did it says that they
have seen it, and that it is told once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.changes.database import ChangeError, ChangesDatabase
from appliance.changes.store import Approval, Trail
from appliance.transactions import noted

EMERGENCY, RETURNED, PASSWORD = "emergency-block", "returned", "password-set"
"""Kinds: a site that one person closed; a change that was taken back by the gateway, or by its time; the
password of an approver that somebody else has set."""

_COLUMNS = "number, at, kind, words, by, seen_by, seen_at"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to look at; moments in seconds since 1970. `seen_by` is empty until somebody did."""

    number: int
    at: float
    kind: str
    words: str
    by: str
    seen_by: str = ""
    seen_at: float | None = None


class Notices:
    """The notices of one school, in the folder `state`. `same` tells whether two names are one person's."""

    def __init__(
        self, state: Path, trail: Trail, approval: Approval, same: Callable[[str], str] = str.casefold
    ) -> None:
        self._db = ChangesDatabase(state)
        self._trail = trail
        self._approval = approval
        self._key = same

    def add(self, kind: str, words: str, *, by: str, at: float) -> int:
        """Note something that is to be looked at; return its number. ChangeError."""
        with self._db.writing() as db:
            return put(db, kind, words, by=by, at=at)

    def open(self, limit: int = 50) -> list[Notice]:
        """Return what nobody else has looked at yet, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM notice WHERE seen_by = '' ORDER BY number LIMIT ?"  # noqa: S608 - our own names
        with self._db.reading() as db:
            return [Notice(*row) for row in db.execute(query, (limit,))] if db is not None else []

    def count(self) -> int:
        """Return how many nobody else has looked at yet."""
        with self._db.reading() as db:
            return (
                int(db.execute("SELECT count(*) FROM notice WHERE seen_by = ''").fetchone()[0]) if db else 0
            )

    def seen(self, number: int, *, by: str, at: float) -> None:
        """Note that somebody else has looked at it; ChangeError where it was their own, or they may not."""
        with noted(self._db.writing, self._trail) as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM notice WHERE number = ?", (number,)).fetchone()  # noqa: S608 - our own names
            if row is None:
                raise ChangeError(
                    f"there is no notice {number}; `appliance changes list` shows which there are"
                )
            found = Notice(*row)
            if found.seen_by:
                raise ChangeError(f"notice {number} was looked at by {found.seen_by} already")
            if self._key(by) == self._key(found.by):
                raise ChangeError(f"notice {number} is about what you did: somebody else has to look at it")
            if self._approval.two and self._key(by) not in map(self._key, self._approval.approvers):
                raise ChangeError(f"{by} is none of changes.approvers (any more), who look at this")
            db.execute("UPDATE notice SET seen_by = ?, seen_at = ? WHERE number = ?", (by, at, number))
            self._trail.add("notice-seen", f"notice {number}", by=by, at=at, words=found.words)

    def untold(self, limit: int = 50) -> list[Notice]:
        """Return what was not told yet, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM notice WHERE told = 0 ORDER BY number LIMIT ?"  # noqa: S608 - our own names
        with self._db.reading() as db:
            return [Notice(*row) for row in db.execute(query, (limit,))] if db is not None else []

    def told(self, numbers: list[int]) -> None:
        """Note that these were given to what sends them."""
        with self._db.writing() as db:
            db.executemany("UPDATE notice SET told = 1 WHERE number = ?", [(number,) for number in numbers])


def put(db: sqlite3.Connection, kind: str, words: str, *, by: str, at: float) -> int:
    """Note something within a transaction of somebody else's; return its number."""
    cursor = db.execute("INSERT INTO notice (at, kind, words, by) VALUES (?, ?, ?, ?)", (at, kind, words, by))
    return int(cursor.lastrowid or 0)
