"""The tables of the log, and how an older file becomes a current one.

What lives only here: every CREATE statement. One access is one narrow row; what repeats (who, and the
whole verdict with its reason) is kept once a UTC day, apart for flagged and ordinary accesses, so
that a personal field expires by blanking a few hundred dictionary rows instead of a million accesses.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from appliance.events.errors import EventsError, is_busy, is_damaged

DAY = 86_400_000
"""Milliseconds in a day: the period of the two dictionaries."""

_V1 = (
    """CREATE TABLE who (
        id INTEGER PRIMARY KEY AUTOINCREMENT, day INTEGER NOT NULL, flagged INTEGER NOT NULL,
        name TEXT NOT NULL, "group" TEXT NOT NULL, source TEXT NOT NULL, confidence TEXT NOT NULL,
        device TEXT NOT NULL, client TEXT NOT NULL) STRICT""",
    "CREATE INDEX who_day ON who (day, name, client)",
    """CREATE TABLE verdict (
        id INTEGER PRIMARY KEY AUTOINCREMENT, day INTEGER NOT NULL, flagged INTEGER NOT NULL,
        action TEXT NOT NULL, reason TEXT NOT NULL, category TEXT NOT NULL, profile TEXT NOT NULL,
        because TEXT NOT NULL, rule TEXT NOT NULL, list TEXT NOT NULL, list_version TEXT NOT NULL,
        policy_version TEXT NOT NULL, floor INTEGER NOT NULL, severity INTEGER NOT NULL) STRICT""",
    "CREATE INDEX verdict_day ON verdict (day, rule, because)",
    """CREATE TABLE access (
        id INTEGER PRIMARY KEY, time INTEGER NOT NULL, flagged INTEGER NOT NULL,
        who INTEGER NOT NULL, verdict INTEGER NOT NULL, reference TEXT NOT NULL, host TEXT NOT NULL,
        url TEXT, method TEXT NOT NULL, search_term TEXT NOT NULL, status INTEGER NOT NULL,
        bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL) STRICT""",
    "CREATE INDEX access_time ON access (time)",
    "CREATE INDEX access_flagged ON access (time) WHERE flagged = 1",
    "CREATE INDEX access_reference ON access (reference) WHERE flagged = 1",
    """CREATE TABLE review (
        id INTEGER PRIMARY KEY, time INTEGER NOT NULL, reference TEXT NOT NULL, client TEXT NOT NULL,
        "group" TEXT NOT NULL, message TEXT NOT NULL) STRICT""",
    "CREATE INDEX review_time ON review (time)",
    # Which spill files are in: an intake that dies after its commit is not repeated.
    "CREATE TABLE taken (name TEXT PRIMARY KEY, time INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # How far each field has been blanked already; a late event moves the mark back.
    "CREATE TABLE retired (what TEXT PRIMARY KEY, upto INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

_V2 = (
    # Whose records are kept whatever their retention, and since when (`holds`).
    "CREATE TABLE held (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

_V3 = (
    # With the person in it, one person's day is found without a look at everybody else's rows of that day.
    "DROP INDEX access_time",
    "CREATE INDEX access_time ON access (time, who)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2, _V3)
"""Statements that lead from version N to N + 1; never edited once released, only added to."""

VERSION = len(MIGRATIONS)

_PATIENCE = 10.0


def prepare(path: Path) -> None:
    """Make `path` a current log database; safe when several processes start at once.

    Raises EventsError for a file of a newer release or one that is damaged, and sqlite3.Error where
    the disk does not allow it now.
    """
    # Created here and not by SQLite: the record holds personal data, so nobody else may read it. A
    # file that exists is never opened here: closing it again would drop the locks that SQLite holds
    # on it in this very process (POSIX), and another worker would then delete the log under our feet.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _until_free(path)
    except sqlite3.DatabaseError as error:
        if is_damaged(error):
            raise EventsError(
                f"{path}: damaged or no event log ({error}); move it aside and start again"
            ) from error
        raise


def check_version(path: Path, found: int) -> None:
    """Raise EventsError unless `found`, the file's version, is one that this release reads."""
    if found > VERSION:
        raise EventsError(
            f"{path}: written by a newer release (schema {found}, this one knows up to {VERSION}); "
            "start the newer release, or restore the backup made before the upgrade"
        )


def _until_free(path: Path) -> None:
    # Switching to WAL does not honour the busy timeout, so several first starts need a loop.
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as db:
                return _migrate(path, db)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _migrate(path: Path, db: sqlite3.Connection) -> None:
    if _version(db) == VERSION:
        return
    check_version(path, _version(db))
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # so that what expired gives its space back
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        # Read again under the lock: another worker may have been first, or be of a newer release.
        check_version(path, _version(db))
        for statements in MIGRATIONS[_version(db) :]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
