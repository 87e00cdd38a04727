"""The database of changes: its tables, and the one way to read and write it.

What lives only here: every CREATE statement of it.
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
from appliance.transactions import CARRIED, transaction

FOLDER = "changes"
DATABASE = "changes.db"
PATIENCE = 5.0
"""Seconds to wait for another process that writes."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS proposal (number INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL, base TEXT NOT NULL, version TEXT NOT NULL, entries TEXT NOT NULL,
    reason TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, impact TEXT NOT NULL,
    decided_by TEXT NOT NULL, decided_at REAL, words TEXT NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS proposal_state ON proposal (state, number)",
    # What somebody else is to look at: seen_by is empty until they did, told is 0 until it went out.
    """CREATE TABLE IF NOT EXISTS notice (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,
    kind TEXT NOT NULL, words TEXT NOT NULL, by TEXT NOT NULL, seen_by TEXT NOT NULL DEFAULT '',
    seen_at REAL, told INTEGER NOT NULL DEFAULT 0) STRICT""",
    "CREATE INDEX IF NOT EXISTS notice_open ON notice (seen_by, number)",
    "CREATE INDEX IF NOT EXISTS notice_told ON notice (told) WHERE told = 0",
    # Accounts whose password somebody else has set, and who that was.
    """CREATE TABLE IF NOT EXISTS doubt (key TEXT PRIMARY KEY, name TEXT NOT NULL, by TEXT NOT NULL,
    proved INTEGER NOT NULL, at REAL NOT NULL) STRICT""",
)
_ADDED = ("parts", "stage")
"""Columns of `proposal` that an older release did not have; each holds JSON."""


class ChangeError(InWordsError):
    """A change cannot be proposed, released or refused; the text says why, and what to do next."""


class BusyError(ChangeError):
    """Somebody else decides about a change just now."""


class ChangesDatabase:
    """The database in the folder `state`. Each use opens it anew, so that any process or thread may."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / DATABASE

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, on the disk when the block ends; nothing is written if it raises.

        ChangeError where the file cannot be used, or another process holds it for too long.
        """
        make_folder(self.path.parent)
        with suppress(FileExistsError):
            os.close(open_private(self.path, os.O_EXCL | os.O_RDWR))
        try:
            with (
                closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as db,
                transaction(db),
            ):
                _prepare(db)
                yield db
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Read for as long as the block lasts, also on a full disk; None where nothing is kept yet."""
        if not self.path.exists():
            yield None
            return
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)) as db:
                if not _is_new(db):
                    self._bring_up(can_wait=_has_all(db))
                yield db
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _bring_up(self, *, can_wait: bool) -> None:
        # An older release made it. Who may only look, or looks while the disk is full, reads what there is.
        try:
            with self.writing():
                pass
        except (ChangeError, OSError):
            if not can_wait:
                raise

    def _unusable(self, error: sqlite3.Error) -> ChangeError:
        busy = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
        what = BusyError if busy else ChangeError
        return what(f"{self.path}: cannot be used ({error}); nothing was changed, try again")


def _is_new(db: sqlite3.Connection) -> bool:
    last = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'carried'").fetchone()
    return last is not None and _has_all(db)


def _has_all(db: sqlite3.Connection) -> bool:
    """Return whether all is there that is only read."""
    names = {str(row[0]) for row in db.execute("SELECT name FROM pragma_table_info('proposal')")}
    last = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'doubt'").fetchone()
    return last is not None and names.issuperset(_ADDED)


def _prepare(db: sqlite3.Connection) -> None:
    if _is_new(db):
        return
    for statement in _TABLES:
        db.execute(statement)
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'carried'").fetchone() is None:
        for statement in CARRIED.split(";\n"):
            db.execute(statement)
    names = {str(row[0]) for row in db.execute("SELECT name FROM pragma_table_info('proposal')")}
    for name in _ADDED:
        if name not in names:
            db.execute(f"ALTER TABLE proposal ADD COLUMN {name} TEXT NOT NULL DEFAULT '{{}}'")
