from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.fields import Retention
from appliance.events.holds import held, hold, release
from appliance.events.queries import open_reader
from appliance.events.record import Record, from_access
from appliance.events.retention import retire
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.person import Confidence, Person
from tests.doubles.events import BLOCKED, START, access

OTHER = Person("ks2", "own sign-in, portal", Confidence.CERTAIN, "Ben Example")
LATE = START + timedelta(days=500)


async def left(state: Path) -> list[Record]:
    async with open_reader(state) as log:
        return await log.accesses(limit=100)


@pytest.mark.slow
async def test_what_is_on_hold_outlives_its_retention(tmp_path: Path) -> None:
    """S-60: a frozen person's records stay whole, everybody else's go, and theirs go after the hold."""
    records = [from_access(access(0, BLOCKED)), from_access(access(1, BLOCKED, person=OTHER))]
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write(records)
    await writer.close()
    await hold(tmp_path, "Ada Example", 0.0)
    await hold(tmp_path, "Ada Example", 1.0)
    assert await held(tmp_path) == ["Ada Example"]
    await retire(tmp_path, Retention.of({}), LATE)
    assert await left(tmp_path) == records[:1]
    await release(tmp_path, "Ada Example")
    await retire(tmp_path, Retention.of({}), LATE)
    assert await left(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        assert db.execute("SELECT count(*) FROM who").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM verdict").fetchone() == (0,)


async def test_a_log_that_cannot_be_held_is_told(tmp_path: Path) -> None:
    """Whoever freezes somebody hears at once that the evidence is not safe."""
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(EventsError):
        await hold(tmp_path, "Ada Example", 0.0)
    with pytest.raises(EventsError):
        await held(tmp_path)


def test_asking_makes_no_log(tmp_path: Path) -> None:
    """A log that is not there is an error in words, and no empty file that a backup would take for one."""
    with pytest.raises(EventsError, match="cannot be read"):
        asyncio.run(held(tmp_path))
    assert list(tmp_path.iterdir()) == []
