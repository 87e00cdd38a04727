"""Stops: somebody's access is frozen at once, or taken away for a time (S-60, S-62).

What lives only here: putting a stop in force and lifting it, each with an entry in the audit trail, which
also says what was rolled back. A stop
leaves sessions as they are: who was ended would come back as the network's anonymous pupil. Help lines
stay open, for the policy sees to that.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from appliance.identity.database import Database
from appliance.identity.names import IdentityError, key, neat
from appliance.model.person import Standing
from appliance.transactions import Noting, noted, settle, unsettled

_COLUMNS = "id, name, what, reason, by, at, until"


STEPS = "people"
"""How the audit names the database that its records of stops are about."""


class Trail(Protocol):
    """Where it is kept who did what to whom: the audit trail, which is another room's."""

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Add one line, on the disk when this returns; OSError, or an error in words, if it cannot be."""


class Steps(Trail, Noting, Protocol):
    """The audit trail as it is for stops: it knows which of its records are about those."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop that is in force; moments in seconds since 1970, `until` None until it is lifted."""

    number: int
    name: str
    what: Standing
    reason: str
    by: str
    at: float
    until: float | None

    @property
    def key(self) -> str:
        """The key of the stopped account."""
        return key(self.name)


class Stops:
    """The stops of one school."""

    def __init__(self, database: Database, trail: Steps) -> None:
        self._database = database
        self._trail = trail

    def settle(self) -> None:
        """Note in the audit which steps were rolled back and are not told yet; IdentityError, OSError."""
        with self._database.reading() as db:
            if not unsettled(db, self._trail):
                return
        settle(self._database.writing, self._trail)

    def freeze(self, name: str, reason: str, *, by: str, now: float) -> None:
        """Stop all access of `name` at once, until somebody lifts it; IdentityError if it is stopped so."""
        self._stop(Stop(0, neat(name), Standing.FROZEN, reason, by, now, None), "freeze")

    def remove(self, name: str, reason: str, until: float, *, by: str, now: float) -> None:
        """Take access away from `name` until a moment; it comes back by itself."""
        if until <= now:
            raise IdentityError("that time has passed already; give one that is to come")
        self._stop(Stop(0, neat(name), Standing.REMOVED, reason, by, now, until), "remove-access")

    def lift(self, name: str, what: Standing, *, by: str, now: float, reason: str = "") -> None:
        """Lift a stop; IdentityError where there is none."""
        with self._noted() as db:
            done = db.execute(
                "UPDATE stop SET lifted = ? WHERE key = ? AND what = ? AND lifted IS NULL",
                (now, key(name), what.value),
            )
            if done.rowcount == 0:
                raise IdentityError(
                    f"{name!a} is not {what.value}; `appliance people show` says how things stand"
                )
            # Within the transaction: what is not in the trail does not happen.
            self._trail.add(
                "unfreeze" if what is Standing.FROZEN else "restore", name, by=by, at=now, reason=reason
            )

    def in_force(self, now: float) -> list[Stop]:
        """Return every stop that counts now, the oldest first."""
        return stops_in_force(self._database, now)

    def restore_due(self, now: float) -> list[Stop]:
        """Lift what was for a time that has passed, each with its entry in the trail; return those."""
        with self._database.reading() as db:
            query = f"SELECT {_COLUMNS} FROM stop WHERE lifted IS NULL AND until <= ?"  # noqa: S608 - our own names
            due = [_stop(row) for row in db.execute(query, (now,))]
        for stop in due:
            self.lift(stop.name, stop.what, by="the gateway", now=now, reason="its time has passed")
        return due

    def _stop(self, stop: Stop, what: str) -> None:
        with self._noted() as db:
            db.execute(
                "UPDATE stop SET lifted = ? WHERE key = ? AND what = ? AND lifted IS NULL",
                (stop.at, stop.key, stop.what.value),
            )
            db.execute(
                "INSERT INTO stop (key, name, what, reason, by, at, until) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (stop.key, stop.name, stop.what.value, stop.reason, stop.by, stop.at, stop.until),
            )
            self._trail.add(what, stop.name, by=stop.by, at=stop.at, reason=stop.reason, until=stop.until)

    def _noted(self) -> AbstractContextManager[sqlite3.Connection]:
        return noted(partial(self._database.writing, changes=True, accounts=False), self._trail)


def stops_in_force(database: Database, now: float) -> list[Stop]:
    """Return every stop that counts now, the oldest first."""
    with database.reading() as db:
        query = (
            f"SELECT {_COLUMNS} FROM stop WHERE lifted IS NULL AND (until IS NULL OR until > ?) "  # noqa: S608 - our own names
            "ORDER BY id"
        )
        return [_stop(row) for row in db.execute(query, (now,))]


def _stop(row: tuple[int, str, str, str, str, float, float | None]) -> Stop:
    number, name, what, reason, by, at, until = row
    return Stop(number, name, Standing(what), reason, by, at, until)
