"""Legal hold: what the log knows of somebody is kept, whatever its retention, until the hold ends.

What lives only here: the table `held`. Retention leaves out what belongs to a name in it; when a hold ends,
retention looks at everything again, so that what is overdue goes with its next run.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from appliance.events.connection import connected, to_read
from appliance.events.errors import EventsError
from appliance.events.leap import MARKS
from appliance.events.schema import prepare
from appliance.events.store import DATABASE

HELD_WHO = "SELECT id FROM who WHERE name IN (SELECT name FROM held)"
"""The dictionary entries of everybody on hold."""


async def hold(state: Path, name: str, at: float) -> None:
    """Keep every record of `name`, from before and from now on; EventsError if that cannot be noted.

    `name` is as the log has it; `at` is seconds since 1970.
    """
    await _do(state, ("INSERT OR IGNORE INTO held (name, at) VALUES (?, ?)", (name, int(at * 1000))))


async def release(state: Path, name: str) -> None:
    """End the hold on `name`; what is past its days goes with the next run of retention."""
    await _do(
        state,
        ("DELETE FROM held WHERE name = ?", (name,)),
        ("DELETE FROM retired WHERE what NOT IN (?, ?)", MARKS),
    )


async def held(state: Path) -> list[str]:
    """Return the names on hold; EventsError if the log cannot be read."""
    path = state / DATABASE
    try:
        return await asyncio.to_thread(_names, path)
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error


def _names(path: Path) -> list[str]:
    with closing(sqlite3.connect(to_read(path), uri=True, timeout=10)) as db:
        return [str(name) for (name,) in db.execute("SELECT name FROM held ORDER BY name")]


async def _do(state: Path, *statements: tuple[str, tuple[str | int, ...]]) -> None:
    path = state / DATABASE
    try:
        await asyncio.to_thread(prepare, path)
        async with connected(path, patience=10) as db:
            await db.execute("PRAGMA synchronous = FULL")
            await db.execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                await db.execute(statement, values)
            await db.execute("COMMIT")
    except (OSError, sqlite3.Error) as error:
        raise EventsError(f"{path}: the hold could not be noted ({error})") from error
