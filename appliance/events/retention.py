"""What has served its purpose goes: fields are blanked, then whole records are deleted.

What lives only here: every UPDATE that blanks and every DELETE. Small batches, so that nobody who
writes waits long; `secure_delete`, so that what is gone is overwritten; a mark for each class of records, so
that a run looks only at what has come due since the last one. Fields of one term go together: each row, and
so each page of an SD card, is written once.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from appliance.events.connection import connected
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


@dataclass(frozen=True, slots=True)
class Gone:
    """One class of records of which something has gone: what can be proved of it afterwards.

    `rows` changed up to the moment `upto` (milliseconds since 1970); `digest` is the SHA-256 of their numbers
    in the order in which they went, each followed by a line end: a backup shows which ones these were.
    """

    what: str
    rows: int
    upto: int
    digest: str


@dataclass(slots=True)
class Retired:
    """What one run did: rows in which a field was blanked, rows deleted by table, the proof of each class."""

    blanked: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    proof: list[Gone] = field(default_factory=list)

    def _add(self, due: _Due, count: int, digest: str) -> None:
        totals = self.deleted if due.act == "delete" else self.blanked
        for name in due.keys:
            totals[name] = totals.get(name, 0) + count
        if count:
            self.proof.append(Gone(due.what, count, due.cutoff, digest))


class _Due(NamedTuple):
    """One thing to do: `act` on the rows of `table` that are older than `cutoff` (milliseconds)."""

    act: str
    table: str
    cutoff: int
    flagged: int | None
    keys: tuple[str, ...]

    @property
    def what(self) -> str:
        """The class of records, as the audit names it."""
        which = {0: "ordinary ", 1: "flagged ", None: ""}[self.flagged]
        of = "" if self.act == "delete" else f": {', '.join(self.keys)}"
        return f"{which}{self.table}{of}"

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of its marks in the table `retired`, one for each field."""
        return tuple(f"{self.act} {key} {self.flagged}" for key in self.keys)

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
            return f"DELETE FROM {self.table} WHERE {self.where}{kept} RETURNING id"  # noqa: S608 - our own names
        columns = [FIELDS[key].column for key in self.keys]
        emptied = ", ".join(f'"{column}" = {_empty(column)}' for column in columns)
        filled = " OR ".join(f'"{column}" IS NOT {_empty(column)}' for column in columns)
        return (
            f"UPDATE {self.table} SET {emptied} "  # noqa: S608 - our own names
            f"WHERE {self.where} AND ({filled}){kept} RETURNING id"
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
        async with connected(path, patience=10) as db:
            await db.execute("PRAGMA secure_delete = ON")
            await db.execute("PRAGMA synchronous = NORMAL")  # what a power cut undoes, the next run repeats
            await _find_held(db)
            for due in _all_due(retention, milliseconds(now)):
                done._add(due, *await _work(db, due))  # noqa: SLF001 - its own
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
            yield _Due("delete", table, now - whole * DAY, flagged, (table,))
            together: dict[int, list[str]] = {}
            for key, entry in FIELDS.items():
                days = retention.keep[key][flagged or 0]
                if entry.table == table and days < whole:  # the others go with the row
                    together.setdefault(days, []).append(key)
            for days, keys in sorted(together.items()):
                yield _Due("blank", table, now - days * DAY, flagged, tuple(keys))


async def _work(db: aiosqlite.Connection, due: _Due) -> tuple[int, str]:
    total, finished, digest = 0, False, hashlib.sha256()
    while not finished:
        await db.execute("BEGIN IMMEDIATE")
        try:
            numbers, finished = await _batch(db, due)
            await db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                await db.execute("ROLLBACK")
            raise
        total += len(numbers)
        digest.update(b"".join(b"%d\n" % number for number in numbers))
        await asyncio.sleep(0.001)  # those who wait to write go first
    return total, digest.hexdigest()


async def _batch(db: aiosqlite.Connection, due: _Due) -> tuple[list[int], bool]:
    """Work from the mark to the next one; return the numbers of the rows that changed, and if all is done."""
    column, unit = due.time
    start = await _mark(db, due) // unit
    end = due.cutoff // unit
    if start >= end:
        return [], True
    boundary = (
        f"SELECT {column} FROM {due.table} WHERE {due.where} "  # noqa: S608 - names from FIELDS
        f"ORDER BY {column} LIMIT 1 OFFSET {BATCH}"
    )
    found = await _number(db, boundary, (start, end))
    upto = end if found is None else max(found, start + 1)
    changed = await db.execute_fetchall(due.statement, (start, upto))
    marks = [(mark, upto * unit) for mark in due.marks]
    await db.executemany("INSERT OR REPLACE INTO retired (what, upto) VALUES (?, ?)", marks)
    return [int(number) for (number,) in changed], upto == end


async def _mark(db: aiosqlite.Connection, due: _Due) -> int:
    # A field that has another term than before is with others now: what the least of them had reached counts.
    reached = [await _number(db, "SELECT upto FROM retired WHERE what = ?", (mark,)) for mark in due.marks]
    return min(mark or 0 for mark in reached)


def _empty(column: str) -> str:
    return _EMPTY.get(column, "''")


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
