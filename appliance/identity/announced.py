"""Network log-ins that were announced: who is on the school's network, with which addresses, until when.

What lives only here: their table, and what each announcement does to it. The newest word about a device
counts; what is older than what was heard already, or comes after the end, changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from appliance.identity.database import Database
from appliance.identity.names import key

_THIS = "client = ? AND nas = ? AND session = ?"


class Status(StrEnum):
    """What an announcement says."""

    START = "start"
    INTERIM = "interim"
    STOP = "stop"
    RESTARTED = "restarted"  # the device that tells was switched on or off: nobody is there any more


@dataclass(frozen=True, slots=True)
class Report:
    """One announcement: by whom, of which log-in, at which moment (seconds since 1970).

    `name` is empty where it says nothing of a person; `addresses` where it does not know them yet.
    """

    status: Status
    client: str
    nas: str
    session: str
    at: float
    name: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Announced:
    """One log-in that counts now."""

    key: str
    mac: str
    addresses: tuple[str, ...]
    ends: float


class AnnouncedStore:
    """The log-ins of one school, in its database."""

    def __init__(self, database: Database, keeps: float) -> None:
        """Keep what has ended for `keeps` seconds: so long may an old announcement still come."""
        self._database = database
        self._keeps = keeps

    def take(self, report: Report, now: float, ends: float) -> bool:
        """Put one announcement in force until `ends`; return False where it is older than what is known."""
        with self._database.writing(changes=True, accounts=False) as db:
            db.execute(
                "DELETE FROM announced WHERE at < ? AND (stopped = 1 OR ends < ?)", (now - self._keeps, now)
            )
            if report.status is Status.RESTARTED:
                db.execute(
                    "UPDATE announced SET stopped = 1, at = ? WHERE client = ? AND nas = ? AND at <= ?",
                    (report.at, report.client, report.nas, report.at),
                )
                return True
            return self._one(db, report, ends)

    def _one(self, db: sqlite3.Connection, report: Report, ends: float) -> bool:
        this = (report.client, report.nas, report.session)
        row = db.execute(
            f"SELECT at, stopped, mac, addresses, due, key FROM announced WHERE {_THIS}",  # noqa: S608 - our own names
            this,
        ).fetchone()
        if row is not None and _stale(report, row[0], stopped=bool(row[1])):
            return False
        mac = report.mac or (row[2] if row else "")
        addresses = list(report.addresses) or (json.loads(row[3]) if row else [])
        stopped = report.status is Status.STOP or self._superseded(db, report, mac, addresses)
        # Whether somebody counts is settled with their account; who counted goes on meanwhile.
        due = row[4] if row is not None and row[5] == key(report.name) else 1
        db.execute(
            "INSERT OR REPLACE INTO announced VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*this, key(report.name), mac, json.dumps(addresses), report.at, ends, int(stopped), due),
        )
        return True

    def _superseded(self, db: sqlite3.Connection, report: Report, mac: str, addresses: list[str]) -> bool:
        # One device is logged in once: the newest log-in with its hardware or one of its addresses counts.
        query = "SELECT client, nas, session, at, mac, addresses FROM announced WHERE stopped = 0"
        for client, nas, session, at, their_mac, theirs in db.execute(query).fetchall():
            if (client, nas, session) == (report.client, report.nas, report.session):
                continue
            if (mac and mac == their_mac) or set(addresses) & set(json.loads(theirs)):
                if at > report.at:
                    return True
                db.execute(f"UPDATE announced SET stopped = 1 WHERE {_THIS}", (client, nas, session))  # noqa: S608 - our own names
        return False

    def settle(self, name: str, *, counts: bool) -> None:
        """Say whether the log-ins of a person count: the account is known, and nothing is still due."""
        with self._database.writing(changes=True, accounts=False) as db:
            db.execute("UPDATE announced SET due = ? WHERE key = ?", (int(not counts), key(name)))


def announced(db: sqlite3.Connection, now: float) -> tuple[Announced, ...]:
    """Return the log-ins that count at `now`, the oldest first."""
    columns, counts = "key, mac, addresses, ends", "stopped = 0 AND due = 0 AND ends > ?"
    query = f"SELECT {columns} FROM announced WHERE {counts} ORDER BY at"  # noqa: S608 - our own names
    return tuple(
        Announced(owner, mac, tuple(json.loads(addresses)), ends)
        for owner, mac, addresses, ends in db.execute(query, (now,))
    )


def _stale(report: Report, at: float, *, stopped: bool) -> bool:
    if stopped:
        # The same name of a log-in may be used again after its end; what was recorded before the end may not.
        return report.status is Status.STOP or report.at <= at
    return report.at < at
