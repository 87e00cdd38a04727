"""One transaction of SQLite: all of it on the disk, or none.

What lives only here: how the rooms that keep a small database of their own write to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


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
