from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from appliance.events.connection import connect, connected
from appliance.events.schema import prepare
from appliance.events.store import DATABASE


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "connection_worker" in thread.name]


def left(folder: Path, before: list[threading.Thread]) -> list[str]:
    """Return the files of `folder`, and the threads but those of `before`, that this process still holds."""
    gc.collect()
    for thread in set(workers()).difference(before):
        thread.join(5)  # its loop has heard of its end, but the thread may have its last line to go
    files = [os.path.realpath(name) for name in Path("/proc/self/fd").iterdir()]
    return [thread.name for thread in workers() if thread not in before] + [
        name for name in files if name.startswith(str(folder))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("steps", range(12))
def test_whoever_is_told_to_end_while_connecting_leaves_nothing_behind(tmp_path: Path, steps: int) -> None:
    """A worker that stops in that very moment keeps no file open and has no thread without its loop."""
    prepare(tmp_path / DATABASE)

    async def look() -> None:
        async with connected(tmp_path / DATABASE, patience=1, reading=True) as db:
            await db.execute_fetchall("PRAGMA user_version")

    async def end_it() -> None:
        looking = asyncio.create_task(look())
        for _ in range(steps):
            await asyncio.sleep(0)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    before = workers()
    for _ in range(4):
        asyncio.run(end_it())
    assert left(tmp_path, before) == []


@pytest.mark.slow
def test_what_cannot_be_opened_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """To look at a log that is not there makes none."""

    async def look() -> None:
        db = await connect(tmp_path / DATABASE, patience=1, reading=True)
        await db.close()

    before = workers()
    for _ in range(4):
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            asyncio.run(look())
    assert left(tmp_path, before) == []
    assert list(tmp_path.iterdir()) == []
