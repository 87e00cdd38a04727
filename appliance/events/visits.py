"""What one rule let pass, counted by person and site: however much it was, the answer is short.

What lives only here: that counting. The dictionary of verdicts says on which days the rule decided, so that
no other day is read, also where the clock was set meanwhile.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from appliance.events.connection import to_read
from appliance.events.errors import EventsError
from appliance.events.schema import DAY
from appliance.events.store import DATABASE

_DAYS = "SELECT DISTINCT day FROM verdict WHERE day >= ? AND rule = ? ORDER BY day"
_COUNT = """SELECT coalesce(w.name, ''), coalesce(w."group", ''), coalesce(w.device, ''),
    coalesce(w.client, ''), a.host, count(*), min(a.time), max(a.time)
    FROM access a LEFT JOIN who w ON w.id = a.who
    WHERE a.time >= ? AND a.time < ? AND a.verdict IN (SELECT id FROM verdict WHERE day = ? AND rule = ?)
    GROUP BY 1, 2, 3, 4, 5"""


class Counted(NamedTuple):
    """How often one person or device was at one site; `first` and `last` are milliseconds since 1970."""

    name: str
    group: str
    device: str
    client: str
    host: str
    times: int
    first: int
    last: int


def counted(state: Path, rule: str, since: float) -> list[Counted]:
    """Count what `rule` decided, exactly as recorded, from the day before `since` (seconds since 1970) on.

    Rows of one person are one a day. EventsError where the log cannot be read, or there is none.
    """
    path = state / DATABASE
    if not path.exists():
        raise EventsError(f"{path}: no event log there; has the gateway been started with this state folder?")
    found = []
    try:
        with closing(sqlite3.connect(to_read(path), uri=True, timeout=5)) as db:
            first = int(since * 1000) // DAY - 1
            for (day,) in db.execute(_DAYS, (first, rule)).fetchall():
                found += db.execute(_COUNT, (day * DAY, (day + 1) * DAY, day, rule)).fetchall()
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error
    return [Counted._make(row) for row in found]
