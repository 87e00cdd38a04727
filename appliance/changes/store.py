"""Proposals: what is to change, why, who wants it, and what became of it.

What lives only here: which step may follow which, and who may take it. Each is one transaction, with its
entry in the audit trail within it: what is not in the trail does not happen.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from appliance.config.problems import InWordsError
from appliance.owners import make_folder, open_private

FOLDER = "changes"
DATABASE = "changes.db"
_PATIENCE = 5.0
_SHORTEST = 10
_COLUMNS = "number, state, base, version, entries, reason, by, at, impact, decided_by, decided_at, words"
_TABLE = """CREATE TABLE IF NOT EXISTS proposal (number INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL, base TEXT NOT NULL, version TEXT NOT NULL, entries TEXT NOT NULL,
    reason TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, impact TEXT NOT NULL,
    decided_by TEXT NOT NULL, decided_at REAL, words TEXT NOT NULL) STRICT"""


class ChangeError(InWordsError):
    """A change cannot be proposed, released or refused; the text says why, and what to do next."""


class State(StrEnum):
    """How a proposal stands."""

    PROPOSED = "proposed"
    RELEASED = "released"
    REFUSED = "refused"


class Entry(NamedTuple):
    """One of the school's own entries that a proposal adds or takes back: `allow`, `block` or `remove`."""

    act: str
    address: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal; moments in seconds since 1970. `version` is the policy that it would put in force."""

    number: int
    state: State
    base: str
    version: str
    entries: tuple[Entry, ...]
    reason: str
    by: str
    at: float
    impact: dict[str, Any]
    decided_by: str = ""
    decided_at: float | None = None
    words: str = ""


class Trail(Protocol):
    """Where it is kept who did what: the audit trail, which is another room's."""

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Add one record, on the disk when this returns."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may release: `two` people are needed, of whom the second is one of `approvers`; or one alone."""

    two: bool
    approvers: Collection[str] = ()


class Changes:
    """The proposals of one school, in the folder `state`. `same` tells whether two names are one person's."""

    def __init__(
        self, state: Path, trail: Trail, approval: Approval, same: Callable[[str], str] = str.casefold
    ) -> None:
        self.path = state / FOLDER / DATABASE
        self._trail = trail
        self._approval = approval
        self._key = same

    def propose(
        self,
        base: str,
        version: str,
        entries: tuple[Entry, ...],
        *,
        reason: str,
        by: str,
        at: float,
        impact: dict[str, Any],
    ) -> Proposal:
        """Keep a new proposal and return it; ChangeError where it changes nothing or gives no reason."""
        if len(reason.strip()) < _SHORTEST:
            raise ChangeError("say why, in a sentence: whoever releases it, and governors, read the reason")
        if base == version and not entries:
            raise ChangeError("nothing is changed: the files are those in force, and no entry is given")
        values = (
            State.PROPOSED,
            base,
            version,
            json.dumps(entries),
            reason.strip(),
            by,
            at,
            json.dumps(impact),
        )
        with self._writing() as db:
            cursor = db.execute(
                "INSERT INTO proposal (state, base, version, entries, reason, by, at, impact, decided_by, "
                "words) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', '')",
                values,
            )
            number = int(cursor.lastrowid or 0)
            shown = ", ".join(" ".join(entry) for entry in entries)
            self._trail.add(
                "change-propose", f"change {number}", by=by, at=at,
                reason=reason, base=base, version=version, entries=shown,
            )  # fmt: skip
        return self.get(number)

    def get(self, number: int) -> Proposal:
        """Return one proposal; ChangeError where there is none of this number."""
        with self._writing() as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM proposal WHERE number = ?", (number,)).fetchone()  # noqa: S608 - our own names
        if row is None:
            raise ChangeError(f"there is no change {number}; `appliance changes list` shows which there are")
        return _proposal(row)

    def newest(self, limit: int, *, waiting: bool = False) -> list[Proposal]:
        """Return the newest `limit` proposals, oldest first; `waiting` leaves out decided ones."""
        where = f"WHERE state = '{State.PROPOSED}'" if waiting else ""
        query = f"SELECT {_COLUMNS} FROM proposal {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 - our own names
        with self._writing() as db:
            return [_proposal(row) for row in reversed(db.execute(query, (limit,)).fetchall())]

    def release(
        self, number: int, *, by: str, at: float, current: str, act: Callable[[Proposal], None]
    ) -> None:
        """Release a proposal; `act` puts it in force, and nothing is released where it raises.

        ChangeError where the proposer releases their own, where `by` may not release (any more), or where
        another policy is in force (`current`) than the one that the proposal was made against.
        """
        with self._deciding(number) as (db, found):
            if self._approval.two:
                self._check(by, found)
            if found.base != current:
                raise ChangeError(
                    f"change {number} was made against {found.base}, and {current} is in force now: what it "
                    "would change was not looked at. Propose it again."
                )
            self._decided(db, found, State.RELEASED, by, at, "")
            how = "two people" if self._approval.two else "one person (changes.approval: single)"
            self._trail.add(
                "change-release", f"change {number}", by=by, at=at, proposed_by=found.by,
                reason=found.reason, version=found.version, approval=how,
            )  # fmt: skip
            act(found)

    def refuse(self, number: int, *, by: str, at: float, reason: str) -> None:
        """Refuse a proposal, or take one's own back; ChangeError where that cannot be."""
        with self._deciding(number) as (db, found):
            if self._approval.two and self._key(by) != self._key(found.by):
                self._check(by, found)
            self._decided(db, found, State.REFUSED, by, at, reason)
            self._trail.add("change-refuse", f"change {number}", by=by, at=at, reason=reason)

    def _check(self, by: str, found: Proposal) -> None:
        if self._key(by) == self._key(found.by):
            raise ChangeError(f"change {found.number} is your own: a second person has to release it")
        if self._key(by) not in {self._key(name) for name in self._approval.approvers}:
            raise ChangeError(
                f"{by} may not release changes: changes.approvers does not name {by} (any more)"
            )

    @contextmanager
    def _deciding(self, number: int) -> Iterator[tuple[sqlite3.Connection, Proposal]]:
        with self._writing() as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM proposal WHERE number = ?", (number,)).fetchone()  # noqa: S608 - our own names
            if row is None:
                raise ChangeError(
                    f"there is no change {number}; `appliance changes list` shows which there are"
                )
            found = _proposal(row)
            if found.state is not State.PROPOSED:
                raise ChangeError(f"change {number} was {found.state} by {found.decided_by} already")
            yield db, found

    @staticmethod
    def _decided(
        db: sqlite3.Connection, found: Proposal, state: State, by: str, at: float, words: str
    ) -> None:
        values = (state, by, at, words, found.number)
        db.execute(
            "UPDATE proposal SET state = ?, decided_by = ?, decided_at = ?, words = ? WHERE number = ?",
            values,
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        make_folder(self.path.parent)
        with suppress(FileExistsError):
            os.close(open_private(self.path, os.O_EXCL | os.O_RDWR))
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = FULL")
                db.execute(_TABLE)
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise ChangeError(f"{self.path}: cannot be used ({error})") from error


def _proposal(row: tuple[Any, ...]) -> Proposal:
    number, state, base, version, entries, reason, by, at, impact, decided_by, decided_at, words = row
    listed = tuple(Entry(*entry) for entry in json.loads(entries))
    return Proposal(
        number,
        State(state),
        base,
        version,
        listed,
        reason,
        by,
        at,
        json.loads(impact),
        decided_by,
        decided_at,
        words,
    )
