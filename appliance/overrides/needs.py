"""What the pages of overrides have named: kept with each override, known to every worker at once.

What lives only here: the table of it, and what one worker knows of it. A worker writes down what it learns
before the page that named it goes on to its reader, and each worker looks at the moment when it is asked, so
that the first style sheet of a page is open whichever worker is asked for it. Nothing here is believed: it
is judged with each request (`policy.needs`).
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from appliance.model.category import Severity
from appliance.model.need import Need
from appliance.overrides.database import Database

MOST = 64
"""Hosts that may come with the pages of one override; as many more are kept that stay closed."""

_PAUSE = 5.0
"""Seconds for which nobody waits for a database again that somebody else has held for too long."""

_TICK, _ASK = 0.05, 0.1
"""Seconds for which the moment of a file may stand still while it is written, and until SQLite is asked."""

_COLUMNS = "number, host, page, severity, at, refused, dropped"
_IN_FORCE = (
    f"SELECT {_COLUMNS} FROM need WHERE number IN (SELECT number FROM override "  # noqa: S608 - our own names
    "WHERE state IN ('granted', 'active'))"
)


class Learnt:
    """What one process knows of the needs of overrides that are in force."""

    def __init__(self, database: Database) -> None:
        """Read and write in `database`, whose patience should be short: pages wait for it."""
        self._database = database
        self._db: sqlite3.Connection | None = None
        self._seen = -1
        self._known: dict[int, dict[str, Need]] = {}
        self._naming: dict[str, list[int]] = {}
        self._dropped: set[tuple[int, str]] = set()
        self._again = 0.0
        self._log = os.fspath(database.path.with_name(f"{database.path.name}-wal"))
        self._written = -1
        self._settled = self._asked = -math.inf

    def close(self) -> None:
        """Let go of the database; the next question opens it again."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db, self._seen, self._asked = None, -1, -math.inf

    def of(self, number: int) -> Mapping[str, Need]:
        """Return what pages of one override have named, by host; what cannot be read is nothing."""
        self._look()
        return self._known.get(number, {})

    def naming(self, host: str) -> list[int]:
        """Return the overrides with which a host may come; as cheap with five hundred as with one."""
        self._look()
        return self._naming.get(host, [])

    def lost(self) -> frozenset[int]:
        """Return the overrides of which staff have taken something out since this was last asked."""
        self._look()
        dropped = {
            (number, need.host)
            for number, needs in self._known.items()
            for need in needs.values()
            if need.dropped
        }
        new, self._dropped = dropped - self._dropped, dropped
        return frozenset(number for number, _ in new)

    def learn(self, number: int, needs: Iterable[Need]) -> None:
        """Keep what a page has named, what is new of it; OverrideError if it cannot be kept now."""
        known = self.of(number)
        room = {True: MOST, False: MOST}
        for need in known.values():
            room[not need.refused] -= not need.dropped
        new = [need for need in needs if need.host not in known and room[not need.refused] > 0]
        if not new or time.monotonic() < self._again:
            return
        self._again = time.monotonic() + _PAUSE  # until it is known that the database can be had
        with self._database.writing() as db:
            for need in new:
                _insert(db, number, need)
        self._again = 0.0

    def _may_have_changed(self) -> bool:
        # To ask SQLite takes a third of a whole decision, so that the moment of its log is asked first: every
        # commit writes there. Moments stand still for some milliseconds, so that one which is new tells
        # nothing yet; and whatever it says, SQLite itself is asked ten times a second.
        now = time.monotonic()
        try:
            written = os.stat(self._log).st_mtime_ns  # noqa: PTH116 - Path takes three times as long
        except OSError:
            return True
        if written != self._written:
            self._written, self._settled = written, now + _TICK
        elif now > self._settled and now - self._asked < _ASK:
            return False
        self._asked = now
        return True

    def _look(self) -> None:
        if not self._may_have_changed():
            return
        try:
            if self._db is None:
                self._db = self._database.watching()
            version = int(self._db.execute("PRAGMA data_version").fetchone()[0])
            if version != self._seen:
                self._known = _grouped(self._db.execute(_IN_FORCE).fetchall())
                self._naming = _by_host(self._known)
                self._seen = version
        except sqlite3.Error:
            self.close()
            self._known, self._naming = {}, {}  # closed, until it can be read again


class Seen:
    """What pages have named, for a verb that only asks: as it stood when it was read."""

    def __init__(self, needs: Mapping[int, Iterable[Need]]) -> None:
        self._known = {number: {need.host: need for need in each} for number, each in needs.items()}
        self._naming = _by_host(self._known)

    def of(self, number: int) -> Mapping[str, Need]:
        """Return what pages of one override have named, by host."""
        return self._known.get(number, {})

    def naming(self, host: str) -> list[int]:
        """Return the overrides with which a host may come."""
        return self._naming.get(host, [])

    def learn(self, number: int, needs: Iterable[Need]) -> None:
        """Learn nothing: whoever only asks changes nothing."""


def needs_of(database: Database, number: int) -> list[Need]:
    """Return all that the pages of one override have named, the first first; OverrideError."""
    query = f"SELECT {_COLUMNS} FROM need WHERE number = ? ORDER BY at, host"  # noqa: S608 - our own names
    with database.reading() as db:
        return [need for _, need in map(_need, db.execute(query, (number,)).fetchall()) if need is not None]


def drop(db: sqlite3.Connection, number: int, hosts: Collection[str]) -> list[str]:
    """Take hosts out of what comes with the pages of an override, none for all; return which they were."""
    found = db.execute(
        "SELECT host FROM need WHERE number = ? AND dropped = 0 AND refused = ''", (number,)
    ).fetchall()
    chosen = sorted(host for (host,) in found if not hosts or host in hosts)
    for host in chosen:
        db.execute("UPDATE need SET dropped = 1 WHERE number = ? AND host = ?", (number, host))
    return chosen


def _insert(db: sqlite3.Connection, number: int, need: Need) -> None:
    # In the transaction, so that several workers together keep no more; what was dropped stays so.
    counted = db.execute(
        "SELECT count(*) FROM need WHERE number = ? AND dropped = 0 AND (refused = '') = ?",
        (number, need.refused == ""),
    ).fetchone()
    in_force = db.execute(
        "SELECT 1 FROM override WHERE number = ? AND learns = 1 AND state IN ('granted', 'active')", (number,)
    ).fetchone()
    if counted[0] >= MOST or in_force is None:
        return
    db.execute(
        f"INSERT INTO need ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",  # noqa: S608 - our own names
        (number, need.host, need.page, int(need.limit), need.at, need.refused),
    )


def _grouped(rows: Iterable[tuple[object, ...]]) -> dict[int, dict[str, Need]]:
    found: dict[int, dict[str, Need]] = {}
    for row in rows:
        number, need = _need(row)
        if need is not None:
            found.setdefault(number, {})[need.host] = need
    return found


def _by_host(known: Mapping[int, Mapping[str, Need]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, needs in known.items():
        for host, need in needs.items():
            if need.open:
                found.setdefault(host, []).append(number)
    return found


def _need(row: tuple[object, ...]) -> tuple[int, Need | None]:
    number, host, page, limit, at, refused, dropped = row
    try:
        need = Need(
            str(host), str(page), Severity(int(str(limit))), float(str(at)), str(refused), bool(dropped)
        )
    except ValueError:
        return int(str(number)), None  # what cannot be read opens nothing
    return int(str(number)), need
