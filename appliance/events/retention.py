"""What has served its purpose goes: fields are blanked, then whole records are deleted.

What lives only here: every UPDATE that blanks and every DELETE. Small batches, so that nobody who
writes waits long; `secure_delete`, so that what is gone is overwritten; a mark for each field, so that
a run looks only at what has come due since the last one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from appliance.events.errors import EventsError
from appliance.events.fields import FIELDS, Retention
from appliance.events.holds import HELD_WHO
from appliance.events.record import milliseconds
from appliance.events.schema import DAY, prepare
from appliance.events.store import DATABASE, SPILL

BATCH = 500
"""Rows in one transaction: some milliseconds, even on an SD card."""

_EMPTY = {"url": "NULL"} | dict.fromkeys(("floor", "severity", "status", "bytes_sent", "bytes_received"), "0")
_DICTIONARIES = ("who", "verdict")
_NOT_HELD = {
    "who": " AND id NOT IN (SELECT id FROM temp.held_who)",
    "access": " AND who NOT IN (SELECT id FROM temp.held_who)",
    "verdict": " AND id NOT IN (SELECT id FROM temp.held_verdict)",
}
"""What belongs to somebody on legal hold stays, with everything that explains it (S-60)."""


@dataclass(slots=True)
class Retired:
    """What one run did: values blanked by field, and whole rows deleted by table."""

    blanked: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)


class _Due(NamedTuple):
    """One thing to do: `act` on the rows of `table` that are older than `cutoff` (milliseconds)."""

    act: str
    table: str
    cutoff: int
    flagged: int | None
    name: str
    column: str = ""

    @property
    def mark(self) -> str:
        """The name of its mark in the table `retired`."""
        return f"{self.act} {self.name} {self.flagged}"

    @property
    def time(self) -> tuple[str, int]:
        """The column that dates a row, and its unit: a day's entry goes when that whole day is over."""
        return ("day", DAY) if self.table in _DICTIONARIES else ("time", 1)

    @property
    def where(self) -> str:
        """The rows between two moments."""
        which = "" if self.flagged is None else f" AND flagged = {self.flagged}"
        return f"{self.time[0]} >= ? AND {self.time[0]} < ?{which}"

    @property
    def statement(self) -> str:
        """What is done to them; every name in it comes from FIELDS."""
        kept = _NOT_HELD.get(self.table, "")
        if self.act == "delete":
            return f"DELETE FROM {self.table} WHERE {self.where}{kept}"  # noqa: S608 - our own names
        empty = _EMPTY.get(self.column, "''")
        return (
            f'UPDATE {self.table} SET "{self.column}" = {empty} '  # noqa: S608 - our own names
            f'WHERE {self.where} AND "{self.column}" IS NOT {empty}{kept}'
        )


async def retire(state: Path, retention: Retention, now: datetime) -> Retired:
    """Blank expired fields and delete expired records in the log of the folder `state`.

    `now` is aware. Safe beside running writers, and safe to be killed: the next run goes on. Raises
    EventsError when the log is damaged, newer, or refuses.
    """
    path = state / DATABASE
    done = Retired()
    try:
        await asyncio.to_thread(prepare, path)
        async with aiosqlite.connect(path, timeout=10, isolation_level=None) as db:
            await db.execute("PRAGMA secure_delete = ON")
            await db.execute("PRAGMA synchronous = NORMAL")  # what a power cut undoes, the next run repeats
            await _find_held(db)
            for due in _all_due(retention, milliseconds(now)):
                count = await _work(db, due)
                totals = done.deleted if due.act == "delete" else done.blanked
                totals[due.name] = totals.get(due.name, 0) + count
            await _tidy(db, state / SPILL, milliseconds(now) - max(retention.keep["time"]) * DAY)
    except (OSError, sqlite3.Error) as error:
        raise EventsError(f"{path}: expired records could not be removed ({error})") from error
    return done


async def _find_held(db: aiosqlite.Connection) -> None:
    # Once a run: what is written meanwhile is too young to be due.
    await db.execute("PRAGMA temp_store = MEMORY")
    await db.execute(f"CREATE TEMP TABLE held_who AS {HELD_WHO}")
    anybody = await _number(db, "SELECT count(*) FROM temp.held_who", ())
    which = "WHERE who IN (SELECT id FROM temp.held_who)" if anybody else "WHERE 0"
    found = f"SELECT DISTINCT verdict AS id FROM access {which}"  # noqa: S608 - our own names
    await db.execute(f"CREATE TEMP TABLE held_verdict AS {found}")


def _all_due(retention: Retention, now: int) -> Iterator[_Due]:
    for table in ("access", *_DICTIONARIES, "review"):
        life = retention.keep["review_time" if table == "review" else "time"]
        for flagged in (None,) if table == "review" else (0, 1):
            whole = life[flagged or 0]
            yield _Due("delete", table, now - whole * DAY, flagged, table)
            for key, entry in FIELDS.items():
                days = retention.keep[key][flagged or 0]
                if entry.table == table and days < whole:  # the others go with the row
                    yield _Due("blank", table, now - days * DAY, flagged, key, entry.column)


async def _work(db: aiosqlite.Connection, due: _Due) -> int:
    total, finished = 0, False
    while not finished:
        await db.execute("BEGIN IMMEDIATE")
        try:
            count, finished = await _batch(db, due)
            await db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                await db.execute("ROLLBACK")
            raise
        total += count
        await asyncio.sleep(0.001)  # those who wait to write go first
    return total


async def _batch(db: aiosqlite.Connection, due: _Due) -> tuple[int, bool]:
    """Work from the mark to the next one; return how many rows changed, and whether all is done."""
    column, unit = due.time
    start = (await _number(db, "SELECT upto FROM retired WHERE what = ?", (due.mark,)) or 0) // unit
    end = due.cutoff // unit
    if start >= end:
        return 0, True
    boundary = (
        f"SELECT {column} FROM {due.table} WHERE {due.where} "  # noqa: S608 - names from FIELDS
        f"ORDER BY {column} LIMIT 1 OFFSET {BATCH}"
    )
    found = await _number(db, boundary, (start, end))
    upto = end if found is None else max(found, start + 1)
    cursor = await db.execute(due.statement, (start, upto))
    await db.execute("INSERT OR REPLACE INTO retired (what, upto) VALUES (?, ?)", (due.mark, upto * unit))
    return cursor.rowcount, upto == end


async def _number(db: aiosqlite.Connection, query: str, values: tuple[Any, ...]) -> int | None:
    rows = list(await db.execute_fetchall(query, values))
    return int(rows[0][0]) if rows else None


async def _tidy(db: aiosqlite.Connection, spill: Path, cutoff: int) -> None:
    """Remove what else is older than any record, and give some free space back to the disk."""
    await db.execute("DELETE FROM taken WHERE time < ?", (cutoff,))
    await asyncio.to_thread(_remove_older, spill, cutoff)
    await db.execute_fetchall("PRAGMA incremental_vacuum(2000)")


def _remove_older(spill: Path, cutoff: int) -> None:
    for path in spill.glob("*.unreadable"):
        if path.stat().st_mtime * 1000 < cutoff:
            path.unlink()
