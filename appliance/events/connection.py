"""Connections to the log that leave nothing behind: no open file, and no thread without its event loop.

What lives only here: how the database is opened. Whoever is told to end in the very moment of connecting
(a worker that stops, a page that nobody waits for) would otherwise leave an open file to the garbage
collector, and a thread that speaks to an event loop that has gone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiosqlite

_AT_ONCE = 64
"""Rows that aiosqlite fetches together where rows are asked for one by one."""
_LEAVING = 2.0
"""Seconds for the thread of an attempt that came to nothing: a disk that hangs shall hold up nobody's end."""


def to_read(path: Path) -> str:
    """Return the address (sqlite.org/uri.html) of the database at `path`: to be read, and not made."""
    return f"file:{quote(str(path.absolute()))}?mode=ro"


async def connect(path: Path, *, patience: float, reading: bool = False) -> aiosqlite.Connection:
    """Return a connection without implicit transactions; whoever asks closes it.

    `patience` is seconds for a busy database; `reading` opens it read-only and makes none. The connection's
    thread holds up no process that ends. Raises sqlite3.Error when it cannot be opened.
    """
    made: list[sqlite3.Connection] = []
    database = to_read(path) if reading else str(path)

    def opened() -> sqlite3.Connection:
        db = sqlite3.connect(
            database, uri=reading, timeout=patience, isolation_level=None, check_same_thread=False
        )
        made.append(db)
        return db

    connecting = aiosqlite.Connection(opened, _AT_ONCE)
    thread = connecting._thread  # noqa: SLF001 - it has no other name
    thread.daemon = True
    try:
        return await connecting
    except BaseException:
        # aiosqlite has asked the thread to end but does not wait for it, nor close what it has opened since.
        try:
            await asyncio.to_thread(thread.join, _LEAVING)
        finally:
            for db in made:
                db.close()
        raise


@asynccontextmanager
async def connected(
    path: Path, *, patience: float, reading: bool = False
) -> AsyncIterator[aiosqlite.Connection]:
    """Hold a connection as of `connect` for as long as the block lasts."""
    db = await connect(path, patience=patience, reading=reading)
    try:
        yield db
    finally:
        await db.close()
