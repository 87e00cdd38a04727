"""What a worker knows of people: read whole from the database when it has changed, and held in memory.

What lives only here: noticing a change (some microseconds, ten times a second) and reading it. A database
that cannot be read is told as such, never taken for an empty one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from appliance.identity.accounts import Account, Accounts
from appliance.identity.announced import Announced, announced
from appliance.identity.database import Database
from appliance.identity.names import IdentityError, key
from appliance.identity.sessions import Session, Sessions
from appliance.identity.stops import Stop, stops_in_force
from appliance.identity.uses import HOLD, Held, held
from appliance.model.person import Confidence, Kind, Person, Standing

_WORDS = {
    Kind.INDIVIDUAL: "own sign-in",
    Kind.CLASS: "class login",
    Kind.GENERIC: "generic login",
    Kind.STAFF: "staff sign-in",
    Kind.GUEST: "guest voucher",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Accounts by key, open sessions, stops by the key of the account, network log-ins, and held devices."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    announced: tuple[Announced, ...] = ()
    held: tuple[Held, ...] = ()
    version: int = 0
    """Which state of the accounts this is."""


class Watch:
    """Looks whether the database has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._db: sqlite3.Connection | None = None
        self._version = -1
        self._generation = -1

    def changed(self) -> bool:
        """Return whether something changed for workers since the last time; sqlite3.Error if unreadable."""
        try:
            if self._db is None:
                self._db, self._version = self._database.watching(), -1
            version = int(self._db.execute("PRAGMA data_version").fetchone()[0])
            if version == self._version:
                return False
            generation = int(self._db.execute("SELECT number FROM generation").fetchone()[0])
        except sqlite3.Error:
            self.close()
            raise
        self._version, before, self._generation = version, self._generation, generation
        return generation != before

    def again(self) -> None:
        """Take the last change for unseen: it could not be read."""
        self._generation = -1
        self._version = -1

    def close(self) -> None:
        """Let go of the database; the next question opens it again."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = None


def read(database: Database, now: float, hold: float = HOLD, before: Snapshot | None = None) -> Snapshot:
    """Read everything that counts at `now`; IdentityError if it cannot be read.

    `hold` is for how many seconds a device stays stopped that somebody who is stopped used last. Accounts
    that are as they were `before` are not read again: at the start of a lesson sessions begin by the hundred.
    """
    try:
        stops: dict[str, Stop] = {}
        for stop in stops_in_force(database, now):
            # A freeze outweighs what was taken away for a time.
            if stop.key not in stops or stop.until is None:
                stops[stop.key] = stop
        with database.reading() as db:
            # First, so that what changes meanwhile is read again.
            version = int(db.execute("SELECT accounts FROM generation").fetchone()[0])
        if before is not None and before.version == version:
            accounts = before.accounts
        else:
            accounts = {account.key: account for account in Accounts(database).all()}
        with database.reading() as db:
            logged_in = announced(db, now)
            holds = held(db, stops.values(), now, hold)
        return Snapshot(accounts, tuple(Sessions(database).open(now)), stops, logged_in, holds, version)
    except (ValueError, sqlite3.Error) as error:
        raise IdentityError(f"{database.path}: cannot be read ({error})") from error


def known_person(database: Database, name: str, now: float) -> Person | None:
    """Return the account `name` as the Person it would be if signed in now, or None; for `explain`."""
    if not database.path.exists():
        return None
    known = read(database, now)
    account = known.accounts.get(key(name))
    return person_of(account, "command line", known.stops.get(account.key)) if account else None


def person_of(account: Account, way: str, stop: Stop | None = None, device: str = "") -> Person:
    """Return an account as the Person that decisions and the log know; `way` is how they signed in.

    A class or generic login stays exactly that: its group is known, the child is not (S-06). Where another
    system keeps the account, that is part of how we know.
    """
    kept = f", {account.source}" if account.source else ""
    return Person(
        group=account.group,
        source=f"{_WORDS[account.kind]}, {way}{kept}",
        confidence=Confidence.GROUP if account.kind.shared else Confidence.CERTAIN,
        name=account.name,
        device=device,
        kind=account.kind,
        standing=stop.what if stop else Standing.OPEN,
    )
