"""Questions to the log, over a connection that cannot write.

What lives only here: every SELECT that somebody outside asks. In WAL mode a reader never holds up a
writer; answers are limited, so that none holds an old view of the database open for long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import aiosqlite

from appliance.events import rows
from appliance.events.connection import connect
from appliance.events.errors import EventsError
from appliance.events.record import Record, Review, milliseconds
from appliance.events.schema import DAY, VERSION, check_version
from appliance.events.store import DATABASE

LIMIT = 100_000
"""Most rows in one answer."""

_LAST_DAY = 2**31


class EventReader:
    """The log, to be read; `open_reader` makes one."""

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        """Read over the open, read-only connection `db` to the file `path`."""
        self._db = db
        self._path = path

    async def accesses(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        flagged: bool = False,
        person: str = "",
        reference: str = "",
        ordinary: bool = False,
        rule: str = "",
        limit: int = 100,
    ) -> list[Record]:
        """Return the newest `limit` accesses that fit, oldest first.

        `since` and `until` (not included) are aware; `flagged` leaves out ordinary ones; `person` is a name
        exactly as recorded;
        `reference` (what a pupil reads out) finds flagged accesses, with `ordinary` any, which takes longer;
        `rule` is what decided, exactly as recorded, such as `override 7`. Raises EventsError if unreadable.
        """
        conditions: list[str] = ["a.time >= ?"]
        values: list[int | str] = [_start(since)]
        if until is not None:
            conditions.append("a.time < ?")
            values.append(milliseconds(until))
        if flagged or (reference and not ordinary):
            conditions.append("a.flagged = 1")
        if reference:
            conditions.append("a.reference = ?")
            values.append(reference)
        if person:
            conditions.append("a.who IN (SELECT id FROM who WHERE day BETWEEN ? AND ? AND name = ?)")
            values += [_start(since) // DAY, _last_day(until), person]
        if rule:
            conditions.append("a.verdict IN (SELECT id FROM verdict WHERE day >= ? AND rule = ?)")
            values += [_start(since) // DAY, rule]
        query = f"{rows.SELECT} WHERE {' AND '.join(conditions)} ORDER BY a.time DESC, a.id DESC LIMIT ?"
        found = await self._fetch(query, [*values, _within(limit)])
        return [rows.read_row(row) for row in reversed(found)]

    async def reviews(
        self, *, since: datetime | None = None, reference: str = "", limit: int = 100
    ) -> list[Review]:
        """Return the newest `limit` review requests, of one block page where `reference` is given.

        Oldest first; raises EventsError if unreadable.
        """
        query = """SELECT reference, time, client, "group", message FROM review WHERE time >= ?
            AND (? = '' OR reference = ?) ORDER BY time DESC, id DESC LIMIT ?"""
        found = await self._fetch(query, [_start(since), reference, reference, _within(limit)])
        return [Review._make(row) for row in reversed(found)]

    async def _fetch(self, query: str, values: list[int | str]) -> list[tuple[str | int, ...]]:
        try:
            return [tuple(row) for row in await self._db.execute_fetchall(query, values)]
        except sqlite3.Error as error:
            raise EventsError(f"{self._path}: cannot be read ({error})") from error


@asynccontextmanager
async def open_reader(state: Path) -> AsyncIterator[EventReader]:
    """Open the log of the folder `state` for reading, for as long as the block lasts.

    Raises EventsError when there is none yet, or it is damaged, or of another release.
    """
    path = state / DATABASE
    if not path.exists():
        raise EventsError(f"{path}: no event log there; has the gateway been started with this state folder?")
    try:
        db = await connect(path, patience=5, reading=True)
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error
    try:
        await _check(db, path)
        yield EventReader(db, path)
    finally:
        await db.close()


async def _check(db: aiosqlite.Connection, path: Path) -> None:
    try:
        ((found,),) = await db.execute_fetchall("PRAGMA user_version")
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error
    check_version(path, found)
    if found < VERSION:
        raise EventsError(f"{path}: of an older release; start the gateway once, that brings it up to date")


def _start(since: datetime | None) -> int:
    return 0 if since is None else milliseconds(since)


def _last_day(until: datetime | None) -> int:
    return _LAST_DAY if until is None else milliseconds(until) // DAY


def _within(limit: int) -> int:
    return max(0, min(limit, LIMIT))
