"""One connection that writes the log: whole batches, each in one transaction.

What lives only here: the transaction, waiting for a busy database, and getting back to a database
that was moved away, damaged or full. It either writes the whole batch or raises and has written none.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import aiosqlite

from appliance.events import rows
from appliance.events.connection import connect
from appliance.events.errors import is_busy
from appliance.events.record import Entry, Record, Review
from appliance.events.schema import prepare

_CACHE = 20_000
"""Dictionary entries remembered; a day of a large school is a few thousand."""

_BUSY_STEP = 0.1


class Writer:
    """A connection of its own. `durable`: a batch is on the disk before `write` returns."""

    def __init__(self, path: Path, *, durable: bool, patience: float) -> None:
        """Make a writer that connects when it is first used; `patience` is seconds for a busy database."""
        self._path = path
        self._durable = durable
        self._patience = patience
        self._db: aiosqlite.Connection | None = None
        self._file = (0, 0)
        self._lock = asyncio.Lock()
        self._wrote = False
        self._seen = -1
        self._ids: dict[rows.Key, int] = {}

    async def write(self, entries: Sequence[Entry], spill: str = "") -> None:
        """Write `entries` in one transaction; raise sqlite3.Error when nothing was written.

        `spill` names the spill file they come from: it is marked as taken in the same transaction,
        and when it was marked before, nothing is written again. Nor is an entry of it that is there
        already: one that was spilled because its own transaction took too long.
        """
        async with self._lock:
            await self._until_free(entries, spill)

    async def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the database file, as far as readers allow.

        Does nothing when nobody wrote since the last time: two checkpoints in a row, with a commit
        in between, are what SQLite before 3.51.3 may answer with a damaged file ("WAL-reset bug").
        """
        async with self._lock:
            if self._db is None:
                return
            ((seen,),) = await self._db.execute_fetchall("PRAGMA data_version")
            if self._wrote or seen != self._seen:
                self._wrote, self._seen = False, seen
                await self._db.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def close(self) -> None:
        """Close the connection; a later `write` opens it again."""
        db, self._db = self._db, None
        self._ids.clear()
        if db is not None:
            try:
                await db.close()
            except sqlite3.Error:
                return  # the file is broken: there is nothing left to close properly

    async def _until_free(self, entries: Sequence[Entry], spill: str) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await self._attempt(entries, spill)
            except sqlite3.Error as error:
                if not is_busy(error):
                    await self.close()  # whatever is wrong, the next attempt starts afresh
                    raise
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.005)

    async def _attempt(self, entries: Sequence[Entry], spill: str) -> None:
        db = await self._connected()
        await db.execute("BEGIN IMMEDIATE")
        try:
            if spill:
                entries = await self._new(db, entries) if await self._mark(db, spill) else ()
            if entries:
                await self._insert(db, entries)
            await db.execute("COMMIT")
            self._wrote = True
        except BaseException:
            self._ids.clear()  # the ids of this transaction never were
            if db.in_transaction:
                await db.execute("ROLLBACK")
            raise

    async def _mark(self, db: aiosqlite.Connection, spill: str) -> bool:
        cursor = await db.execute(
            "INSERT OR IGNORE INTO taken (name, time) VALUES (?, ?)", (spill, int(time.time() * 1000))
        )
        return cursor.rowcount == 1

    async def _new(self, db: aiosqlite.Connection, entries: Sequence[Entry]) -> list[Entry]:
        found = []
        for entry in entries:
            query, values = rows.same(entry)
            if not list(await db.execute_fetchall(query, values)):
                found.append(entry)
        return found

    async def _insert(self, db: aiosqlite.Connection, entries: Sequence[Entry]) -> None:
        records = [entry for entry in entries if isinstance(entry, Record)]
        reviews = [entry for entry in entries if isinstance(entry, Review)]
        if records:
            if len(self._ids) > _CACHE:
                self._ids.clear()
            who = await self._dictionary(db, records, rows.who_key, rows.FIND_WHO, rows.ADD_WHO)
            verdict = await self._dictionary(
                db, records, rows.verdict_key, rows.FIND_VERDICT, rows.ADD_VERDICT
            )
            # A generator: the rows are made in the connection's thread, between SQLite's own steps.
            await db.executemany(rows.ADD_ACCESS, map(rows.access_row, records, who, verdict))
        if reviews:
            await db.executemany(rows.ADD_REVIEW, reviews)
        # A late event must not escape a retention that has passed its time already.
        oldest = min(entry.time for entry in entries)
        await db.execute("UPDATE retired SET upto = ? WHERE upto > ?", (oldest, oldest))

    async def _dictionary(
        self,
        db: aiosqlite.Connection,
        records: Sequence[Record],
        key_of: Callable[[Record], rows.Key],
        find: str,
        add: str,
    ) -> list[int]:
        keys = [key_of(record) for record in records]
        for key in set(keys).difference(self._ids):
            # Safe without a unique index: the transaction holds the only write lock there is.
            found = list(await db.execute_fetchall(find, key))
            self._ids[key] = found[0][0] if found else await self._add(db, add, key)
        return [self._ids[key] for key in keys]

    async def _add(self, db: aiosqlite.Connection, add: str, key: rows.Key) -> int:
        row = await db.execute_insert(add, key)
        if row is None:
            raise sqlite3.InternalError("an inserted row has no id")
        return int(row[0])

    async def _connected(self) -> aiosqlite.Connection:
        # A database that somebody moved away or deleted still takes writes that nobody will ever
        # read, so the file behind the name is looked at before each batch.
        if self._db is not None and self._file == _identity(self._path):
            return self._db
        await self.close()
        await asyncio.to_thread(prepare, self._path)
        self._file = _identity(self._path)
        db = self._db = await connect(self._path, patience=min(_BUSY_STEP, self._patience))
        await db.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        # The store says when: a flagged event shall not pay for moving a whole log.
        await db.execute("PRAGMA wal_autocheckpoint = 0")
        await db.execute("PRAGMA journal_size_limit = 16777216")
        return db


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
