"""A clock that leapt ahead: what seems to be past its days is kept until the clock has stood for a day.

What lives only here: how far is too far, and how long is long enough. A box whose clock is wrong by a year
would remove a year of records within the hour, and no clock that is put right brings them back. A box that
was switched off for a holiday removes a day later, which costs nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from appliance.events.errors import EventsError
from appliance.events.record import milliseconds
from appliance.events.schema import DAY, prepare
from appliance.events.store import DATABASE
from appliance.transactions import transaction

LEAST = 7 * DAY
"""Milliseconds since the last time something was removed that are not asked about."""

STANDS = DAY
"""Milliseconds for which a clock has to go on after it leapt."""

_LAST, _LEAPT = "clock last", "clock leapt"
MARKS = (_LAST, _LEAPT)
"""Their names in the table `retired`."""


async def leapt(state: Path, now: datetime) -> bool:
    """Return whether the clock is so far ahead of the last time that nothing may be removed yet.

    To be asked before each removal, which it notes; `now` is aware. EventsError where that cannot be noted.
    """
    path = state / DATABASE
    try:
        return await asyncio.to_thread(_leapt, path, milliseconds(now))
    except (OSError, sqlite3.Error) as error:
        raise EventsError(f"{path}: it cannot be noted when records are removed ({error})") from error


def _leapt(path: Path, now: int) -> bool:
    prepare(path)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db, transaction(db):
        marks = dict(db.execute("SELECT what, upto FROM retired WHERE what IN (?, ?)", MARKS))
        last, since = marks.get(_LAST), marks.get(_LEAPT)
        if last is not None and now - last > LEAST:
            if since is None or not since <= now <= since + LEAST:
                db.execute("INSERT OR REPLACE INTO retired VALUES (?, ?)", (_LEAPT, now))
                return True
            if now - since < STANDS:
                return True
        db.execute("INSERT OR REPLACE INTO retired VALUES (?, ?)", (_LAST, now))
        db.execute("DELETE FROM retired WHERE what = ?", (_LEAPT,))
        return False
