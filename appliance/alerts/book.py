"""The book of alerts: episodes, who must be told when, and what waits to be sent.

What lives only here: every CREATE statement, and the transaction. How far the event log was read, the
episodes that followed and who is to be told are one transaction: a keeper that dies anywhere goes on from
there, with nothing lost and nothing twice.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from appliance.config.problems import InWordsError
from appliance.owners import make_folder, open_private
from appliance.transactions import CARRIED, transaction, version_of

FOLDER = "alerts"
DATABASE = "alerts.sqlite3"
PATIENCE = 5.0
"""Seconds to wait for another process that writes."""

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # What was taken already; an event can come from the spill file first and from the log later.
    "CREATE TABLE seen (key INTEGER PRIMARY KEY, time REAL NOT NULL) STRICT",
    """CREATE TABLE episode (id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, theme TEXT NOT NULL,
        title TEXT NOT NULL, "group" TEXT NOT NULL, severity INTEGER NOT NULL, level INTEGER NOT NULL,
        count INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL, told REAL, state TEXT NOT NULL,
        by TEXT NOT NULL, outcome TEXT NOT NULL, useful INTEGER) STRICT""",
    "CREATE INDEX episode_subject ON episode (subject, theme, last)",
    """CREATE TABLE hit (episode INTEGER NOT NULL, at REAL NOT NULL, reference TEXT NOT NULL,
        category TEXT NOT NULL) STRICT""",
    "CREATE INDEX hit_episode ON hit (episode)",
    """CREATE TABLE tally (subject TEXT NOT NULL, theme TEXT NOT NULL, minute INTEGER NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (subject, theme, minute)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE fired (episode INTEGER NOT NULL, rule TEXT NOT NULL, level INTEGER NOT NULL,
        PRIMARY KEY (episode, rule)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE mute (subject TEXT NOT NULL, theme TEXT NOT NULL, level INTEGER NOT NULL,
        until REAL NOT NULL, PRIMARY KEY (subject, theme)) STRICT, WITHOUT ROWID""",
    # Who must be told next, and when: the step on the ladder of a rule.
    """CREATE TABLE duty (id INTEGER PRIMARY KEY, episode INTEGER NOT NULL, rule TEXT NOT NULL,
        level INTEGER NOT NULL, tell TEXT NOT NULL, step INTEGER NOT NULL, told INTEGER NOT NULL,
        patience REAL NOT NULL, due REAL NOT NULL) STRICT""",
    "CREATE INDEX duty_due ON duty (due)",
    "CREATE INDEX duty_episode ON duty (episode)",
    """CREATE TABLE note (episode INTEGER NOT NULL, at REAL NOT NULL, by TEXT NOT NULL,
        text TEXT NOT NULL) STRICT""",
    """CREATE TABLE recipient (address TEXT PRIMARY KEY, asked REAL NOT NULL,
        confirmed REAL) STRICT, WITHOUT ROWID""",
    """CREATE TABLE outbox (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, what TEXT NOT NULL,
        episode INTEGER, level INTEGER NOT NULL, channel TEXT NOT NULL, address TEXT NOT NULL,
        body TEXT NOT NULL, at REAL NOT NULL, retry REAL NOT NULL, tries INTEGER NOT NULL,
        state TEXT NOT NULL, error TEXT NOT NULL, sent REAL) STRICT""",
    "CREATE INDEX outbox_waiting ON outbox (retry) WHERE state = 'waiting'",
    "CREATE INDEX outbox_episode ON outbox (episode)",
)

_SECOND = (
    # Who has it in hand.
    "ALTER TABLE episode ADD COLUMN holder TEXT NOT NULL DEFAULT ''",
    # The roles that may see a case: those that its rules told, and to whom it was handed over. A case of an
    # older release has none, and is for every role.
    """CREATE TABLE reader (episode INTEGER NOT NULL, role TEXT NOT NULL,
        PRIMARY KEY (episode, role)) STRICT, WITHOUT ROWID""",
    # What the school's own table says is to be done by people: as it stood when it was taken up.
    """CREATE TABLE task (id INTEGER PRIMARY KEY, episode INTEGER NOT NULL, incident TEXT NOT NULL,
        step TEXT NOT NULL, title TEXT NOT NULL, help TEXT NOT NULL, source TEXT NOT NULL,
        state TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, reason TEXT NOT NULL,
        UNIQUE (episode, step)) STRICT""",
    # The question to a recipient that is on its way: the hash of what only its mail says, and until when.
    """CREATE TABLE invitation (address TEXT PRIMARY KEY, hash TEXT NOT NULL,
        until REAL NOT NULL) STRICT, WITHOUT ROWID""",
    # A fault that closes the gate, from the first request that it refused until none was refused for a while.
    """CREATE TABLE alarm (kind TEXT PRIMARY KEY, since REAL NOT NULL, last REAL NOT NULL,
        count INTEGER NOT NULL, told INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
)


# Which record of the audit is the last that counts.
_THIRD = tuple(CARRIED.split(";\n"))

_TABLES = (_FIRST, _SECOND, _THIRD)
"""What makes each version of the tables out of the one before it."""

VERSION = len(_TABLES)


class AlertsError(InWordsError):
    """The book of alerts cannot be used, or there is no such case; the text says what to do."""


class Book:
    """The file in the folder `state`. Each use opens it anew, so that any thread or process may."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / DATABASE
        self.patience = PATIENCE

    def prepare(self) -> None:
        """Make the file where there is none; OSError or AlertsError where it cannot be."""
        make_folder(self.path.parent)
        with suppress(FileExistsError):
            os.close(open_private(self.path, os.O_EXCL | os.O_RDWR))
        # Read before anything is written: a start must not fail because somebody holds a book that is whole.
        with self.reading() as db:
            found = version_of(db)
        if found > VERSION:
            raise AlertsError(f"{self.path}: written by a newer release; start that one")
        if found < VERSION:
            self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        with self.writing() as db:
            for statements in _TABLES[version_of(db) :]:  # none, where somebody else was faster
                for statement in statements:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, on the disk when the block ends; nothing is written if it raises.

        AlertsError when the file is missing or broken, or another process holds it for too long.
        """
        with self._opened("rw") as db:
            db.execute("PRAGMA secure_delete = ON")
            with transaction(db):
                yield db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read for as long as the block lasts; AlertsError when there is nothing to be read."""
        with self._opened("ro") as db:
            yield db

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=self.patience, isolation_level=None)) as db:
                yield db
        except sqlite3.Error as error:
            hint = "" if self.path.exists() else "; has the gateway been started with this state folder?"
            raise AlertsError(f"{self.path}: cannot be used ({error}){hint}") from error


def get(db: sqlite3.Connection, key: str) -> str:
    """Return a single value that is kept under `key`, or an empty text."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def put(db: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a single value."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
