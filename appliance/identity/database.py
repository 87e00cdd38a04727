"""The database of people, sessions and stops: its tables, and how it is read and written.

What lives only here: every CREATE statement, and the transaction. Whoever writes is short: a command, the
sign-in, the housekeeping. Workers only read, and see by `PRAGMA data_version` and the number `generation`
that something changed for them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from appliance.identity.names import IdentityError
from appliance.owners import make_folder, open_private
from appliance.transactions import CARRIED, transaction, version_of

FOLDER = "identity"
DATABASE = "people.db"
PATIENCE = 5.0
"""Seconds to wait for another process that writes."""

_TABLES = """
CREATE TABLE account (key TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, "group" TEXT NOT NULL,
    password TEXT NOT NULL, pictures INTEGER NOT NULL, must_change INTEGER NOT NULL, changed REAL NOT NULL,
    expires REAL, disabled INTEGER NOT NULL, created REAL NOT NULL, sponsor TEXT NOT NULL,
    purpose TEXT NOT NULL, devices INTEGER NOT NULL, starts REAL) STRICT, WITHOUT ROWID;
CREATE TABLE agreement (key TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL, address TEXT NOT NULL,
    PRIMARY KEY (key, version)) STRICT, WITHOUT ROWID;
CREATE TABLE session (id TEXT PRIMARY KEY, key TEXT NOT NULL, address TEXT NOT NULL, mac TEXT NOT NULL,
    began REAL NOT NULL, seen REAL NOT NULL, ends REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX session_address ON session (address);
CREATE TABLE stop (id INTEGER PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL, what TEXT NOT NULL,
    reason TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, until REAL, lifted REAL) STRICT;
CREATE TABLE failure (subject TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE INDEX failure_subject ON failure (subject, at);
CREATE TABLE generation (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO generation VALUES (1, 1);
"""

_OUTSIDE = """
ALTER TABLE account ADD COLUMN source TEXT NOT NULL DEFAULT '';
"""

_ANNOUNCED = """
CREATE TABLE announced (client TEXT NOT NULL, nas TEXT NOT NULL, session TEXT NOT NULL, key TEXT NOT NULL,
    mac TEXT NOT NULL, addresses TEXT NOT NULL, at REAL NOT NULL, ends REAL NOT NULL,
    stopped INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (client, nas, session)) STRICT, WITHOUT ROWID;
"""

_USES = """
CREATE TABLE used (key TEXT NOT NULL, device TEXT NOT NULL, mac TEXT NOT NULL, address TEXT NOT NULL,
    way TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (key, device)) STRICT, WITHOUT ROWID;
CREATE TABLE shared (key TEXT NOT NULL, pair TEXT NOT NULL, day TEXT NOT NULL,
    PRIMARY KEY (key, pair)) STRICT, WITHOUT ROWID;
CREATE TABLE refresh (key TEXT PRIMARY KEY, token BLOB NOT NULL) STRICT, WITHOUT ROWID;
ALTER TABLE generation ADD COLUMN accounts INTEGER NOT NULL DEFAULT 1;
"""

# `step` is the last one whose code came in: none counts twice.
_FACTOR = """
CREATE TABLE second_factor (key TEXT PRIMARY KEY, secret BLOB NOT NULL, since REAL NOT NULL,
    step INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""

_PROXY = """
CREATE TABLE proxy_sign_in (key TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL, ends REAL NOT NULL,
    PRIMARY KEY (key, address)) STRICT, WITHOUT ROWID;
"""

_STEPS = (_TABLES, _OUTSIDE, _ANNOUNCED, _USES, _FACTOR, _PROXY, CARRIED)
"""What makes each version of the tables out of the one before it."""

VERSION = len(_STEPS)

_CHANGED = "UPDATE generation SET number = number + 1, accounts = accounts + 1"
_MOVED = "UPDATE generation SET number = number + 1"


class Database:
    """The file in the folder `state`. Each use opens it anew, so that any thread or process may.

    `asks` is for a verb that only asks: nothing appears beside the file, where nobody has it open.
    """

    def __init__(self, state: Path, *, asks: bool = False) -> None:
        self.path = state / FOLDER / DATABASE
        self._asks = asks

    def prepare(self) -> None:
        """Make the file where there is none; OSError or IdentityError where it cannot be."""
        make_folder(self.path.parent)
        with suppress(FileExistsError):
            os.close(open_private(self.path, os.O_EXCL | os.O_RDWR))
        with self.reading() as db:
            if version_of(db) == VERSION:
                return  # a start must not fail because somebody holds a file that is whole
        with self.writing() as db:
            found = version_of(db)
            for step in _STEPS[found:]:
                for statement in step.split(";\n"):
                    db.execute(statement)
            if found < VERSION:
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif found > VERSION:
                raise IdentityError(f"{self.path}: written by a newer release; start that one")

    @contextmanager
    def writing(self, *, changes: bool = False, accounts: bool = True) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, on the disk when the block ends; nothing is written if it raises.

        `changes` says that workers must look again, and `accounts` that an account is among it: to read them
        all anew takes its time. IdentityError when the file is missing or broken.
        """
        last = (_CHANGED if accounts else _MOVED) if changes else ""
        with self._opened("rw") as db, transaction(db, last):
            yield db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read for as long as the block lasts; IdentityError when there is nothing to be read."""
        with self._opened("ro") as db:
            yield db

    def watching(self) -> sqlite3.Connection:
        """Return a connection that stays open, to be asked whether something changed; sqlite3.Error."""
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=0.2, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
        if self._asks and not self.path.with_name(f"{DATABASE}-wal").exists():
            uri += "&immutable=1"  # SQLite would make its -wal and -shm files even to read, and leave them
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)) as db:
                yield db
        except sqlite3.Error as error:
            hint = "" if self.path.exists() else "; has the gateway been started with this state folder?"
            raise IdentityError(f"{self.path}: cannot be used ({error}){hint}") from error
