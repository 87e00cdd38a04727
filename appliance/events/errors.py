"""What can go wrong with the log, in words that a technician can act upon."""

from __future__ import annotations

import sqlite3

from appliance.config.problems import InWordsError

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class EventsError(InWordsError):
    """The log cannot be opened or read; the text says which file, why, and what to do."""


class NotRecordedError(EventsError):
    """A flagged event reached neither the database nor the spill file: the answer must be "closed"."""


def is_busy(error: sqlite3.Error) -> bool:
    """True when another process holds the database: waiting helps."""
    return _primary(error) in _BUSY


def is_damaged(error: sqlite3.Error) -> bool:
    """True when the file itself is broken or no database: waiting does not help."""
    return _primary(error) in _DAMAGED


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
