"""What was asked in a span of time, counted: for reports, which need no single access.

What lives only here: that counting. It reads in the order of time over a connection that cannot write, and
gives whoever it was as a number that means nothing outside of one answer.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from appliance.events.connection import to_read
from appliance.events.errors import EventsError
from appliance.events.record import milliseconds
from appliance.events.store import DATABASE

_WHO = """SELECT id, "group", CASE WHEN name != '' THEN 'n' || name WHEN device != '' THEN 'd' || device
    WHEN client != '' THEN 'c' || client ELSE '' END FROM who WHERE day BETWEEN ? AND ?"""
_VERDICT = "SELECT id, action, reason, category, floor FROM verdict WHERE day BETWEEN ? AND ?"
_COUNT = """SELECT who, verdict, flagged, count(*) FROM access WHERE time >= ? AND time < ?
    GROUP BY who, verdict, flagged"""
_REVIEWS = "SELECT count(*) FROM review WHERE time >= ? AND time < ?"
_DAY = 86_400_000


class Sum(NamedTuple):
    """How many accesses of one person or device had one outcome. `subject` is 0 where nobody is known."""

    subject: int
    group: str
    action: str
    reason: str
    category: str
    floor: bool
    flagged: bool
    times: int


def sums(state: Path, since: datetime, until: datetime) -> list[Sum]:
    """Count the accesses from `since` to before `until`, both aware; EventsError if the log is unreadable."""
    span = (milliseconds(since), milliseconds(until))
    days = (span[0] // _DAY - 1, span[1] // _DAY + 1)
    try:
        with _opened(state) as db:
            numbers: dict[str, int] = {"": 0}
            who = {
                one: (group, numbers.setdefault(subject, len(numbers)))
                for one, group, subject in db.execute(_WHO, days)
            }
            verdicts = {one: rest for one, *rest in db.execute(_VERDICT, days)}
            found: dict[tuple[object, ...], int] = {}
            for person, verdict, flagged, count in db.execute(_COUNT, span):
                group, subject = who.get(person, ("", 0))
                action, reason, category, floor = verdicts.get(verdict, ("", "", "", 0))
                key = (subject, group, action, reason, category, bool(floor), bool(flagged))
                found[key] = found.get(key, 0) + count
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error
    return [Sum._make((*key, count)) for key, count in found.items()]


def reviews(state: Path, since: datetime, until: datetime) -> int:
    """Count the requests that came from block pages; EventsError if the log is unreadable."""
    try:
        with _opened(state) as db:
            found = db.execute(_REVIEWS, (milliseconds(since), milliseconds(until))).fetchone()
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error
    return int(found[0])


def _opened(state: Path) -> closing[sqlite3.Connection]:
    path = state / DATABASE
    if not path.exists():
        raise EventsError(f"{path}: no event log there; has the gateway been started with this state folder?")
    return closing(sqlite3.connect(to_read(path), uri=True, timeout=10))
