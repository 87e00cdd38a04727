"""Past accesses, to be judged again: so much of each as that needs, and nobody's name in what comes of it.

What lives only here: reading the log in parts, so that several processes can share the work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from appliance.events.connection import to_read
from appliance.events.errors import EventsError
from appliance.events.rows import unpack_url
from appliance.events.store import DATABASE

_QUERY = """SELECT a.time, a.host, a.url, coalesce(w."group", ''), coalesce(w.source, ''),
    coalesce(w.name, ''), coalesce(v.reason, '')
    FROM access a LEFT JOIN who w ON w.id = a.who LEFT JOIN verdict v ON v.id = a.verdict
    WHERE a.id >= ? AND a.id < ?"""


class Past(NamedTuple):
    """One access; `time` is milliseconds since 1970. `url` is None where it was not kept."""

    time: int
    host: str
    url: str | None
    group: str
    source: str
    name: str
    reason: str


def span(state: Path, since: int) -> tuple[int, int]:
    """Return the first number of an access since a moment (milliseconds), and the one after the last."""
    with _opened(state) as db:
        query = "SELECT min(id), max(id) FROM access WHERE time >= ?"
        first, last = db.execute(query, (since,)).fetchone()
    return (0, 0) if first is None else (int(first), int(last) + 1)


def past(state: Path, first: int, end: int) -> Iterator[Past]:
    """Yield the accesses numbered from `first` up to, not including, `end`; EventsError if unreadable."""
    try:
        with _opened(state) as db:
            for row in db.execute(_QUERY, (first, end)):
                found = Past._make(row)
                yield found._replace(url=unpack_url(found.url, found.host))
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error


def _opened(state: Path) -> closing[sqlite3.Connection]:
    path = state / DATABASE
    if not path.exists():
        raise EventsError(f"{path}: no event log there; has the gateway been started with this state folder?")
    try:
        return closing(sqlite3.connect(to_read(path), uri=True, timeout=5))
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error
