"""Proposals: what is to change, why, who wants it, and what became of it.

What lives only here: which step may follow which, and who may take it. Each is one transaction, with its
entry in the audit trail within it: what is not in the trail does not happen. What comes in force with it does
so within the same transaction, and goes back where that does not end well, be it by a power cut.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from appliance.changes.database import DATABASE, FOLDER, BusyError, ChangeError, ChangesDatabase
from appliance.changes.journal import UNREADABLE, Begun, Journal
from appliance.changes.proposals import COLUMNS, Entry, Proposal, State, known, one, proposal_of
from appliance.config.problems import InWordsError
from appliance.model.words import said
from appliance.transactions import noted, unsettled

__all__ = ["DATABASE", "FOLDER", "Approval", "ChangeError", "Changes", "Entry", "Proposal", "State", "Trail"]

_SHORTEST = 10
_UNDONE = (
    "a decision that was begun before did not end, and is undone: look at what is in force, and say it again"
)


class Trail(Protocol):
    """Where it is kept who did what: the audit trail, which is another room's."""

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Add one record, on the disk when this returns."""

    def newest(self) -> int:
        """Return the number of the newest record of a step; 0 for none. OSError."""

    def not_carried(self, after: int) -> None:
        """Note of each step after that record that it was not carried out. OSError."""


class Means(Protocol):
    """What is in force beside the database, and how to go back to it."""

    def before(self, found: Proposal) -> dict[str, Any]:
        """Return what is in force of all that the proposal could change, as JSON can say it."""

    def undo(self, number: int, before: dict[str, Any]) -> None:
        """Put that in force again, whatever of change `number` is in force; InWordsError, OSError."""


class NoMeans:
    """For a store whose decisions put nothing in force."""

    def before(self, _found: Proposal) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def undo(self, _number: int, _before: dict[str, Any]) -> None:
        """Undo nothing."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may release: `two` people are needed, of whom the second is one of `approvers`; or one alone."""

    two: bool
    approvers: Collection[str] = ()


class Changes:
    """The proposals of one school, in the folder `state`. `same` tells whether two names are one person's."""

    def __init__(
        self,
        state: Path,
        trail: Trail,
        approval: Approval,
        same: Callable[[str], str] = str.casefold,
        means: Means | None = None,
    ) -> None:
        self._db = ChangesDatabase(state)
        self.path = self._db.path
        self._journal = Journal(state)
        self._trail = trail
        self._approval = approval
        self._key = same
        self._means = means or NoMeans()

    def mend(self, *, first: bool = False) -> bool:
        """Undo a decision that was begun and did not end; return whether there was one.

        To be asked now and then, and at the start (`first`): only then are records of what never came to be
        looked for where nothing came in force. BusyError while somebody decides; ChangeError, InWordsError,
        OSError where it cannot be undone now.
        """
        if not self._journal.there():
            if first:
                self._settle()
            return False
        with noted(self._db.writing, self._trail) as db:
            begun = self._journal.read()
            if undone := begun is not None and not self._is_done(db, begun):
                self._undo(begun)
            self._journal.remove()
        return undone

    def _is_done(self, db: sqlite3.Connection, begun: Begun) -> bool:
        try:
            found = one(db, begun.number)
        except OverflowError:
            found = None
        if found and (found.state, found.decided_at) == (begun.state, begun.at):
            return True
        if found is None or known(db, found) != begun.known:
            # To go back by it could undo what others have decided since.
            raise self._journal.unusable("does not go with the changes that are kept (is it of a backup?)")
        return False

    def _undo(self, begun: Begun) -> None:
        try:
            self._means.undo(begun.number, begun.before)
        except UNREADABLE as error:
            raise self._journal.unusable(f"damaged ({error!r})") from None

    def _settle(self) -> None:
        with self._db.reading() as db:
            if db is None or not unsettled(db, self._trail):
                return
        with noted(self._db.writing, self._trail):
            pass

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
        parts: Mapping[str, tuple[str, str]] | None = None,
    ) -> Proposal:
        """Keep a new proposal and return it; ChangeError where it changes nothing or gives no reason."""
        if len(said(reason)) < _SHORTEST:
            raise ChangeError("say why, in a sentence: whoever releases it, and governors, read the reason")
        if base == version and not entries and not parts:
            raise ChangeError("nothing is changed: the files are those in force, and no entry is given")
        values = (
            State.PROPOSED,
            base,
            version,
            json.dumps(entries),
            said(reason),
            by,
            at,
            json.dumps(impact),
            json.dumps(parts or {}),
        )
        with noted(self._db.writing, self._trail) as db:
            cursor = db.execute(
                "INSERT INTO proposal (state, base, version, entries, reason, by, at, impact, parts, "
                "decided_by, words) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '')",
                values,
            )
            number = int(cursor.lastrowid or 0)
            shown = ", ".join(" ".join(entry) for entry in entries)
            brought = {name: after for name, (_, after) in (parts or {}).items()}
            self._trail.add(
                "change-propose", f"change {number}", by=by, at=at,
                reason=said(reason), base=base, version=version, entries=shown, **brought,
            )  # fmt: skip
        return self.get(number)

    def get(self, number: int) -> Proposal:
        """Return one proposal; ChangeError where there is none of this number."""
        with self._db.reading() as db:
            found = one(db, number) if db is not None else None
        if found is None:
            raise _no_such(number)
        return found

    def newest(self, limit: int, *, waiting: bool = False, before: int = 0) -> list[Proposal]:
        """Return the newest `limit` proposals, oldest first; `waiting` leaves out decided ones.

        `before` leaves out that number and all that came after it: the page before.
        """
        where = [f"state IN ('{State.PROPOSED}', '{State.STAGED}')"] if waiting else []
        where += ["number < ?"] if before else []
        given = (before, limit) if before else (limit,)
        chosen = f"WHERE {' AND '.join(where)}" if where else ""
        query = f"SELECT {COLUMNS} FROM proposal {chosen} ORDER BY number DESC LIMIT ?"  # noqa: S608 - our own names
        with self._db.reading() as db:
            rows = db.execute(query, given).fetchall() if db is not None else []
        return [proposal_of(row) for row in reversed(rows)]

    def staged(self) -> Proposal | None:
        """Return the change that is in force for some only; there is never more than one."""
        query = f"SELECT {COLUMNS} FROM proposal WHERE state = '{State.STAGED}' LIMIT 1"  # noqa: S608 - our own names
        with self._db.reading() as db:
            row = db.execute(query).fetchone() if db is not None else None
        return proposal_of(row) if row else None

    def release(
        self,
        number: int,
        *,
        by: str,
        at: float,
        current: Callable[[], Mapping[str, str]],
        act: Callable[[Proposal], None],
        stage: Mapping[str, Any] | None = None,
    ) -> None:
        """Release a proposal; `act` puts it in force, and nothing is released where it raises.

        `current` gives the versions in force: `policy` and the names of `parts`. With `stage`, where it says
        for whom (`shown`), it is in force for some first. ChangeError where the proposer releases their own,
        where `by` may not release (any more), or where another version is in force than it was made against.
        """
        with self._deciding(number, State.PROPOSED) as (db, found):
            if self._approval.two:
                self._check(by, found)
            # Asked now, while nobody else decides: what was in force before may be undone by now.
            self._check_base(db, found, current())
            state = State.STAGED if stage and "shown" in stage else State.RELEASED
            self._decided(db, found, state, by, at, "")
            if stage:
                db.execute("UPDATE proposal SET stage = ? WHERE number = ?", (json.dumps(stage), number))
            how = "two people" if self._approval.two else "one person (changes.approval: single)"
            self._trail.add(
                "change-release", f"change {number}", by=by, at=at, proposed_by=found.by,
                reason=found.reason, version=found.version, approval=how,
                first=str(stage.get("shown", "")) if stage else "",
            )  # fmt: skip
            self._carry_out(db, found, state, at, act)

    def widen(self, number: int, *, by: str, at: float, act: Callable[[Proposal], None]) -> None:
        """Put a change that is in force for some in force for all; who may release it may do so."""
        with self._deciding(number, State.STAGED) as (db, found):
            if self._approval.two:
                self._check(by, found)
            words = f"first for {found.stage['shown']}, released by {found.decided_by}"
            self._decided(db, found, State.RELEASED, by, at, words)
            self._trail.add("change-widen", f"change {number}", by=by, at=at, version=found.version)
            self._carry_out(db, found, State.RELEASED, at, act)

    def take_back(
        self,
        number: int,
        *,
        by: str,
        at: float,
        reason: str,
        act: Callable[[Proposal], None],
        gateway: bool = False,
    ) -> None:
        """Go back from a change that is in force, to what was in force before it.

        Whoever may release it, or proposed it, may do so; or the `gateway` itself.
        """
        with self._deciding(number, State.STAGED, State.RELEASED) as (db, found):
            if self._approval.two and not gateway and self._key(by) != self._key(found.by):
                self._check(by, found)
            _must_say(reason)
            self._decided(db, found, State.RETURNED, by, at, reason)
            self._trail.add(
                "change-return", f"change {number}", by=by, at=at, reason=reason,
                version=found.base, instead_of=found.version,
            )  # fmt: skip
            self._carry_out(db, found, State.RETURNED, at, act)

    def refuse(self, number: int, *, by: str, at: float, reason: str) -> None:
        """Refuse a proposal, or take one's own back; ChangeError where that cannot be."""
        with self._deciding(number, State.PROPOSED) as (db, found):
            if self._approval.two and self._key(by) != self._key(found.by):
                self._check(by, found)
            _must_say(reason)
            self._decided(db, found, State.REFUSED, by, at, reason)
            self._trail.add("change-refuse", f"change {number}", by=by, at=at, reason=reason)

    def _check(self, by: str, found: Proposal) -> None:
        if self._key(by) == self._key(found.by):
            raise ChangeError(f"change {found.number} is your own: a second person has to release it")
        if self._key(by) not in {self._key(name) for name in self._approval.approvers}:
            raise ChangeError(
                f"{by} may not release changes: changes.approvers does not name {by} (any more)"
            )

    @staticmethod
    def _check_base(db: sqlite3.Connection, found: Proposal, current: Mapping[str, str]) -> None:
        if other := db.execute("SELECT number FROM proposal WHERE state = ?", (State.STAGED,)).fetchone():
            raise ChangeError(
                f"change {other[0]} is in force for some people only: `appliance changes widen {other[0]}` "
                f"or `appliance changes return {other[0]}` first"
            )
        for name, base in (("policy", found.base), *((name, pair[0]) for name, pair in found.parts.items())):
            if base != current.get(name, ""):
                raise ChangeError(
                    f"change {found.number} was made against {name} {base or 'none'}, and "
                    f"{current.get(name) or 'none'} is in force now: what it would change was not looked "
                    "at. Propose it again."
                )

    @contextmanager
    def _deciding(self, number: int, *states: State) -> Iterator[tuple[sqlite3.Connection, Proposal]]:
        if self.mend():
            raise ChangeError(_UNDONE)  # what its caller knows of what is in force is of before
        try:
            with noted(self._db.writing, self._trail) as db:
                if self._journal.there():
                    # Of somebody who decided while we waited: to write ours over it would lose the way back.
                    raise BusyError(_UNDONE)
                found = one(db, number)
                if found is None:
                    raise _no_such(number)
                if found.state not in states:
                    who = f" by {found.decided_by} already" if found.decided_by else "; it is not in force"
                    raise ChangeError(f"change {number} was {found.state}{who}")
                yield db, found
        finally:
            # Decided: what was kept is forgotten. Not decided: it is undone. What fails here is done by
            # whoever looks next, which is the gateway within seconds.
            with suppress(InWordsError, OSError):
                self.mend()

    def _carry_out(
        self,
        db: sqlite3.Connection,
        found: Proposal,
        state: State,
        at: float,
        act: Callable[[Proposal], None],
    ) -> None:
        kept = self._means.before(found)
        self._journal.write(Begun(found.number, state, at, known(db, found), kept))
        act(found)

    @staticmethod
    def _decided(
        db: sqlite3.Connection, found: Proposal, state: State, by: str, at: float, words: str
    ) -> None:
        values = (state, by, at, words, found.number)
        db.execute(
            "UPDATE proposal SET state = ?, decided_by = ?, decided_at = ?, words = ? WHERE number = ?",
            values,
        )


def _must_say(reason: str) -> None:
    if not said(reason):
        raise ChangeError("say why, in a few words: whoever proposed it, and governors, read the reason")


def _no_such(number: int) -> ChangeError:
    return ChangeError(f"there is no change {number}; `appliance changes list` shows which there are")
