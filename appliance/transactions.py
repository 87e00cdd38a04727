"""One transaction of SQLite: all of it on the disk, or none; and the audit says which.

What lives only here: how the rooms that keep a small database of their own write to it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol


def keep_names(folder: Path) -> None:
    """Put on the disk which files are in a folder: one that was renamed there is not, until then; OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def transaction(db: sqlite3.Connection, last: str = "") -> Iterator[sqlite3.Connection]:
    """Write in one transaction, on the disk when the block ends; nothing is written if it raises.

    `db` is in autocommit mode (`isolation_level=None`). `last` is a statement that belongs to it, done when
    the block has ended. sqlite3.Error when another process holds the file for too long.
    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        if last:
            db.execute(last)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def version_of(db: sqlite3.Connection) -> int:
    """Return the number of the tables' form; 0 for a new file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


CARRIED = """
CREATE TABLE carried (one INTEGER PRIMARY KEY CHECK (one = 1), record INTEGER NOT NULL) STRICT;
INSERT INTO carried VALUES (1, -1);
"""
"""What a database needs whose steps are noted in the audit: the number of the last record that counts.

It is negative while the database is new: one that takes the place of a lost one is told apart by it.
"""


class Noting(Protocol):
    """The audit trail as it is for one database: it knows which of its records are about that one."""

    def newest(self) -> int:
        """Return the number of the newest record about a step in this database; 0 for none. OSError."""

    def not_carried(self, after: int) -> None:
        """Note of each record after that number that its step was not carried out. OSError."""


@contextmanager
def noted(
    writing: Callable[[], AbstractContextManager[sqlite3.Connection]], trail: Noting
) -> Iterator[sqlite3.Connection]:
    """Write in one transaction of `writing` whose steps are noted in the audit within it.

    A record comes first, so that nothing takes effect without one; and the file of the audit knows nothing
    of a ROLLBACK. So the database keeps the number of the last record that counts, in the same transaction.
    What is newer was rolled back, by a disk that filled up or a power cut, and that is noted as well: at
    once where it can be, else before the next step.
    """
    before = None
    try:
        while before is None:
            with writing() as db:
                if _is_new(db, trail):
                    continue
                before = _settle(db, trail)
                yield db
                db.execute("UPDATE carried SET record = ?", (trail.newest(),))
    except BaseException:
        if before is not None:
            with suppress(Exception):  # what cannot be noted now is noted before the next step
                if trail.newest() > before:
                    settle(writing, trail)
        raise


def settle(writing: Callable[[], AbstractContextManager[sqlite3.Connection]], trail: Noting) -> None:
    """Note what was rolled back and is not noted yet; whoever has the database now may raise."""
    with writing() as db:
        if not _is_new(db, trail):
            db.execute("UPDATE carried SET record = ?", (_settle(db, trail),))


def unsettled(db: sqlite3.Connection, trail: Noting) -> bool:
    """Return whether something may have been rolled back (or is being written just now)."""
    return _counting(db) < trail.newest()


def _is_new(db: sqlite3.Connection, trail: Noting) -> bool:
    # What the audit says of steps in a database that was lost is true: those were carried out. So a new one
    # begins with the newest record, in a transaction of its own, for what comes next may be rolled back.
    if _counting(db) >= 0:
        return False
    db.execute("UPDATE carried SET record = ?", (trail.newest(),))
    return True


def _settle(db: sqlite3.Connection, trail: Noting) -> int:
    if unsettled(db, trail):
        trail.not_carried(_counting(db))
    return trail.newest()


def _counting(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT record FROM carried").fetchone()[0])
