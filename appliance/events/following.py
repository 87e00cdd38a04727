"""Follows the log: each flagged access once, soon after it is on the disk, wherever on the disk that is.

What lives only here: the place up to which somebody has read, and what shows that the file below it is still
the one that was read. The log may be moved aside, restored from a backup, or lose its last ordinary rows in
a power cut; then what is near the old place is read again, and the reader leaves out what it knows. Events
that wait in a spill file are read there.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiosqlite

from appliance.events import rows
from appliance.events.connection import connect
from appliance.events.errors import EventsError
from appliance.events.record import Entry, Record, Review, from_line
from appliance.events.schema import VERSION, check_version
from appliance.events.store import DATABASE, SPILL

SPAN = 20_000
"""Rows looked at in one step, so that none holds an old view of the log open for long."""

_AGAIN = 3_600_000
"""Milliseconds before the old place that are read again when the log is no longer the one that was read."""

_FLAGGED = rows.SELECT.replace("SELECT ", "SELECT a.id, ", 1)
_REVIEWS = (
    """SELECT id, reference, time, client, "group", message FROM review WHERE id > ? ORDER BY id LIMIT ?"""
)
_BEFORE = """SELECT (SELECT max(id) FROM access WHERE time < ?),
    (SELECT max(id) FROM review WHERE time < ?)"""
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """How far the log was read: the last row, and what it was; the last review request."""

    row: int = 0
    time: int = 0
    reference: str = ""
    review: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what `str` made; the beginning for anything else."""
        with suppress(ValueError):
            row, time, review, reference = text.split(" ", 3)
            return cls(int(row), int(time), reference, int(review))
        return cls()

    def __str__(self) -> str:
        return f"{self.row} {self.time} {self.review} {self.reference}"


@dataclass(slots=True)
class News:
    """What is new: entries in the order of the log, the place after them, and whether there is more."""

    entries: list[Entry] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    more: bool = False


def key_of(entry: Entry) -> int:
    """Return a number that is the same for one event wherever it is met, and for no other."""
    if isinstance(entry, Record):
        text = f"{entry.reference}|{entry.time}|{entry.method}|{entry.status}"
    else:
        text = f"review|{entry.reference}|{entry.time}|{entry.client}|{entry.message}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


class Following:
    """One reader's way along the log of the folder `state`."""

    def __init__(self, state: Path) -> None:
        self._path = state / DATABASE
        self._folder = state / SPILL
        self._db: aiosqlite.Connection | None = None
        self._seen = -1
        self._file = (0, 0)
        self._read: dict[str, int] = {}

    async def changed(self) -> bool:
        """Return whether anybody has written to the log since the last time; cheap enough for every moment.

        EventsError where it cannot be read now.
        """
        try:
            db = await self._connected()
            if db is None:
                return False
            ((seen,),) = await db.execute_fetchall("PRAGMA data_version")
        except sqlite3.Error as error:
            await self.close()
            raise EventsError(f"{self._path}: cannot be read ({error})") from error
        before, self._seen = self._seen, int(seen)
        return before != self._seen

    async def news(self, place: Place) -> News:
        """Return what stands behind `place`, in one step of the log; EventsError where it cannot be read."""
        try:
            db = await self._connected()
            return News(place=place) if db is None else await self._step(db, place)
        except sqlite3.Error as error:
            await self.close()
            raise EventsError(f"{self._path}: cannot be read ({error})") from error

    async def beginning(self, since: int) -> Place:
        """Return the place before everything that was recorded from `since` (milliseconds) on."""
        try:
            db = await self._connected()
            if db is None:
                return Place()
            ((row, review),) = await db.execute_fetchall(
                _BEFORE,
                (since, since),
            )
            return await self._at(db, row or 0, review or 0)
        except sqlite3.Error as error:
            await self.close()
            raise EventsError(f"{self._path}: cannot be read ({error})") from error

    def spilled(self) -> list[Entry]:
        """Return what is new in the spill files, read beside their writers; damaged lines stay there."""
        found: list[Entry] = []
        there = {path.name: path for path in self._folder.glob("*.jsonl")}
        self._read = {name: size for name, size in self._read.items() if name in there}
        for name, path in there.items():
            with suppress(OSError):
                found += self._lines(name, path)
        return found

    def spills(self) -> bool:
        """Return whether a spill file holds more than was read; looks at names and sizes alone."""
        try:
            files = [path for path in self._folder.iterdir() if path.suffix == ".jsonl"]
            return any(path.stat().st_size > self._read.get(path.name, 0) for path in files)
        except OSError:
            return False

    def again(self) -> None:
        """Read the spill files from their beginning next time: what was read was not kept."""
        self._read.clear()

    async def close(self) -> None:
        """Let go of the log; the next question opens it again."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                await db.close()

    async def _step(self, db: aiosqlite.Connection, place: Place) -> News:
        await db.execute("BEGIN")
        try:
            if not await self._stands(db, place):
                place = await self._found_again(db, place)
            ((last,),) = await db.execute_fetchall("SELECT coalesce(max(id), 0) FROM access")
            upto = min(int(last), place.row + SPAN)
            accesses = await db.execute_fetchall(
                f"{_FLAGGED} WHERE a.flagged = 1 AND a.id > ? AND a.id <= ? ORDER BY a.id LIMIT ?",
                (place.row, upto, _MOST),
            )
            records = [(row[0], rows.read_row(tuple(row[1:]))) for row in accesses]
            if len(records) == _MOST:
                upto = records[-1][0]
            reviews = [tuple(row) for row in await db.execute_fetchall(_REVIEWS, (place.review, _MOST))]
            entries: list[Entry] = [record for _, record in records]
            entries += [Review._make(row[1:]) for row in reviews]
            after = await self._at(db, upto, reviews[-1][0] if reviews else place.review)
            return News(entries, after, upto < last or len(reviews) == _MOST)
        finally:
            await db.execute("ROLLBACK")

    async def _stands(self, db: aiosqlite.Connection, place: Place) -> bool:
        return place.row == 0 or (await self._row(db, place.row)) == (place.time, place.reference)

    async def _found_again(self, db: aiosqlite.Connection, place: Place) -> Place:
        ((row, review),) = await db.execute_fetchall(
            _BEFORE,
            (place.time - _AGAIN, place.time - _AGAIN),
        )
        return await self._at(db, row or 0, review or 0)

    async def _at(self, db: aiosqlite.Connection, row: int, review: int) -> Place:
        time, reference = await self._row(db, row) or (0, "")
        return Place(row, time, reference, review)

    async def _row(self, db: aiosqlite.Connection, row: int) -> tuple[int, str] | None:
        found = list(await db.execute_fetchall("SELECT time, reference FROM access WHERE id = ?", (row,)))
        return (found[0][0], found[0][1]) if found else None

    def _lines(self, name: str, path: Path) -> Iterator[Entry]:
        # Never the log itself: closing that once more would drop SQLite's own locks on it.
        with path.open("rb") as file:
            file.seek(self._read.get(name, 0))
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._read[name] = self._read.get(name, 0) + end
        for line in data[:end].split(b"\n")[:-1]:
            with suppress(ValueError):
                entry = from_line(line.decode("ascii"))
                if isinstance(entry, Review) or entry.flagged:
                    yield entry

    async def _connected(self) -> aiosqlite.Connection | None:
        # A log that was moved away can still be read by whoever has it open: so look at what has its name.
        try:
            status = self._path.stat()
        except OSError:
            await self.close()
            return None
        now = (status.st_dev, status.st_ino)
        if self._db is not None and self._file == now:
            return self._db
        await self.close()
        db = await connect(self._path, patience=1, reading=True)
        try:
            ((found,),) = await db.execute_fetchall("PRAGMA user_version")
            check_version(self._path, found)
        except BaseException:
            await db.close()
            raise
        if found < VERSION:
            await db.close()
            return None  # just being made, or about to be brought up to date by a worker
        self._db, self._file, self._seen = db, now, -1
        return db
