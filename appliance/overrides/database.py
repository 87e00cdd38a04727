"""The database of overrides: its tables, and how it is read and written.

What lives only here: every CREATE statement, and the transaction. Whoever writes is short: a command, the
housekeeping, a worker that learns what a page needs. Workers see by `PRAGMA data_version` that something
changed for them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from appliance.overrides.names import OverrideError
from appliance.owners import make_folder, open_private
from appliance.transactions import CARRIED, transaction, version_of

FOLDER = "overrides"
DATABASE = "overrides.db"
VERSION = 4
PATIENCE = 5.0
"""Seconds to wait for another process that writes."""

_TABLES = """
CREATE TABLE override (number INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, what TEXT NOT NULL,
    whom TEXT NOT NULL, reason TEXT NOT NULL, subject TEXT NOT NULL, starts REAL NOT NULL, ends REAL NOT NULL,
    left REAL, asked_by TEXT NOT NULL, asked_at REAL NOT NULL, granted_by TEXT NOT NULL, role TEXT NOT NULL,
    ended_at REAL, review TEXT NOT NULL) STRICT;
CREATE INDEX override_state ON override (state);
CREATE TABLE step (number INTEGER NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, by TEXT NOT NULL,
    note TEXT NOT NULL) STRICT;
CREATE INDEX step_number ON step (number);
CREATE TABLE generation (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO generation VALUES (1, 1);
"""

_LATER = {
    # What pages need, and whether it comes with them. What was granted before said nothing of it.
    2: """
ALTER TABLE override ADD COLUMN learns INTEGER NOT NULL DEFAULT 0;
CREATE TABLE need (number INTEGER NOT NULL, host TEXT NOT NULL, page TEXT NOT NULL, severity INTEGER NOT NULL,
    at REAL NOT NULL, refused TEXT NOT NULL, dropped INTEGER NOT NULL, PRIMARY KEY (number, host)) STRICT;
""",
    # What was visited under it, made once after its end. What ended before has none.
    3: """
CREATE TABLE report (number INTEGER PRIMARY KEY, made REAL NOT NULL, accesses INTEGER NOT NULL,
    people INTEGER NOT NULL, sites INTEGER NOT NULL, told TEXT NOT NULL, read_at REAL) STRICT;
CREATE TABLE visit (number INTEGER NOT NULL, name TEXT NOT NULL, "group" TEXT NOT NULL, device TEXT NOT NULL,
    host TEXT NOT NULL, times INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (number, name, "group", device, host)) STRICT, WITHOUT ROWID;
CREATE INDEX visit_name ON visit (name);
INSERT INTO report SELECT number, 0, 0, 0, 0, 'none', 0 FROM override WHERE state IN ('expired', 'revoked');
""",
    # Which record of the audit is the last that counts.
    4: CARRIED,
}
"""What each form of the tables adds to the one before."""

_CHANGED = "UPDATE generation SET number = number + 1"


class Database:
    """The file in the folder `state`. Each use opens it anew, so that any thread or process may.

    `asks` is for a verb that only asks: nothing appears beside the file, where nobody has it open.
    `patience` are the seconds to wait for another process that writes.
    """

    def __init__(self, state: Path, *, asks: bool = False, patience: float = PATIENCE) -> None:
        self.path = state / FOLDER / DATABASE
        self._asks = asks
        self._patience = patience

    def prepare(self) -> None:
        """Make the file where there is none; OSError or OverrideError where it cannot be."""
        make_folder(self.path.parent)
        with suppress(FileExistsError):
            os.close(open_private(self.path, os.O_EXCL | os.O_RDWR))
        with self.reading() as db:
            if version_of(db) == VERSION:
                return  # a start must not fail because somebody holds a file that is whole
        with self.writing() as db:
            found = version_of(db)
            if found > VERSION:
                raise OverrideError(f"{self.path}: written by a newer release; start that one")
            for version in range(found + 1, VERSION + 1):
                for statement in _LATER.get(version, _TABLES).split(";\n"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def writing(self, *, changes: bool = False) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, on the disk when the block ends; nothing is written if it raises.

        `changes` says that workers must look again. OverrideError when the file cannot be used now.
        """
        with self._opened("rw") as db, transaction(db, _CHANGED if changes else ""):
            yield db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read for as long as the block lasts; OverrideError when there is nothing to be read."""
        with self._opened("ro") as db:
            yield db

    def watching(self) -> sqlite3.Connection:
        """Return a connection that stays open, to be asked whether something changed; sqlite3.Error."""
        return sqlite3.connect(
            self._uri("ro"), uri=True, timeout=0.2, isolation_level=None, check_same_thread=False
        )

    def _uri(self, mode: str) -> str:
        return f"file:{quote(str(self.path.absolute()))}?mode={mode}"

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = self._uri(mode)
        if self._asks and not self.path.with_name(f"{DATABASE}-wal").exists():
            uri += "&immutable=1"  # SQLite would make its -wal and -shm files even to read, and leave them
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=self._patience, isolation_level=None)) as db:
                yield db
        except sqlite3.Error as error:
            hint = "" if self.path.exists() else "; has the gateway been started with this state folder?"
            raise OverrideError(
                f"{self.path}: cannot be used ({error}); nothing has changed{hint}"
            ) from error
