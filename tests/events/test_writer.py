"""Tests of one transaction: whole or not at all, and back again after any trouble."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.events.record import Entry, from_access, from_review
from appliance.events.schema import DAY
from appliance.events.writer import Writer
from tests.doubles.events import ALLOWED, BLOCKED, access, review


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database of the test is."""
    return tmp_path / "events.sqlite3"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    """A durable writer with little patience."""
    made = Writer(path, durable=True, patience=0.05)
    yield made
    await made.close()


def events(*numbers: int) -> list[Entry]:
    """Return flagged events."""
    return [from_access(access(number, BLOCKED)) for number in numbers]


def count(path: Path, table: str = "access") -> int:
    """Return how many rows a table has."""
    with closing(sqlite3.connect(path)) as db:
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
        return int(db.execute(query).fetchone()[0])


@pytest.mark.slow
async def test_what_repeats_is_stored_once_a_day(writer: Writer, path: Path) -> None:
    """A school's year of records fits on an SD card, because names and reasons are not repeated."""
    await writer.write(events(*range(50)))
    await writer.write(events(DAY))
    assert (count(path), count(path, "who"), count(path, "verdict")) == (51, 2, 2)


@pytest.mark.slow
async def test_a_flagged_access_has_dictionary_entries_of_its_own(writer: Writer, path: Path) -> None:
    """Blanking what was ordinary does not blank what the safeguarding lead still needs."""
    await writer.write([from_access(access(1, ALLOWED)), from_access(access(2, BLOCKED))])
    assert count(path, "who") == 2


@pytest.mark.slow
async def test_two_writers_share_their_dictionary(writer: Writer, path: Path) -> None:
    """Several processes do not each store every pupil."""
    other = Writer(path, durable=False, patience=1)
    await writer.write(events(1))
    await other.write(events(2))
    await other.close()
    assert (count(path), count(path, "who"), count(path, "verdict")) == (2, 1, 1)


@pytest.mark.slow
async def test_a_busy_database_is_waited_for_and_then_reported(writer: Writer, path: Path) -> None:
    """A lock that does not go away ends in an error, not in a request that hangs."""
    await writer.write(events(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await writer.write(events(2))
        db.execute("ROLLBACK")
    await writer.write(events(3))
    assert count(path) == 2


@pytest.mark.slow
async def test_a_full_database_takes_nothing_and_recovers(writer: Writer, path: Path) -> None:
    """When the disk is full, a batch is refused whole, and ids of what was undone are not used later."""
    await writer.write(events(1))
    assert writer._db is not None
    await writer._db.execute("PRAGMA max_page_count = 1")
    big = [from_access(replace(access(n, BLOCKED), method=f"{n}" * 200, reference="new")) for n in range(200)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await writer.write([*events(DAY), *big])
    assert (count(path), count(path, "who")) == (1, 1)
    await writer.write(events(DAY, DAY + 1))
    assert (count(path), count(path, "who")) == (3, 2)


@pytest.mark.slow
async def test_a_database_that_was_moved_away_is_noticed(writer: Writer, path: Path) -> None:
    """Writes into a file that no longer has a name would be lost without anybody knowing."""
    await writer.write(events(1))
    for part in path.parent.glob("events.sqlite3*"):
        part.rename(part.with_name(f"old-{part.name}"))
    await writer.write(events(2))
    assert count(path) == 1


@pytest.mark.slow
async def test_a_spill_file_goes_in_once(writer: Writer, path: Path) -> None:
    """A process that dies between its commit and removing the spill file does not double the events."""
    await writer.write(events(1, 2), spill="1-a.jsonl")
    await writer.write(events(1, 2), spill="1-a.jsonl")
    await writer.write(events(3), spill="1-b.jsonl")
    assert count(path) == 3


@pytest.mark.slow
async def test_a_late_event_moves_the_retention_mark_back(writer: Writer, path: Path) -> None:
    """An event that waited in a spill file past its term is still blanked in time."""
    await writer.write(events(1))
    late = from_access(access(5, BLOCKED))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO retired VALUES ('url', ?), ('name', 7)", (late.time + 1_000,))
    await writer.write([late])
    with closing(sqlite3.connect(path)) as db:
        assert dict(db.execute("SELECT * FROM retired")) == {"url": late.time, "name": 7}


@pytest.mark.slow
async def test_reviews_and_accesses_go_together(writer: Writer, path: Path) -> None:
    """A review request is kept like a flagged event."""
    await writer.write([from_review(review(1)), *events(1), from_review(review(2))])
    assert (count(path), count(path, "review")) == (1, 2)


def _in_the_file_itself(path: Path) -> int:
    """Count accesses without looking into the write-ahead log."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM access").fetchone()[0])


@pytest.mark.slow
async def test_the_log_is_moved_into_the_database_only_when_somebody_wrote(
    writer: Writer, path: Path
) -> None:
    """Two checkpoints in a row, which may damage a file under old SQLite versions, do not happen."""
    await writer.checkpoint()
    await writer.write(events(1))
    assert _in_the_file_itself(path) == 0
    await writer.checkpoint()
    assert _in_the_file_itself(path) == 1
    assert not writer._wrote
    seen = writer._seen
    other = Writer(path, durable=True, patience=1)
    await other.write(events(2))
    await writer.checkpoint()
    assert writer._seen != seen
    await other.close()


@pytest.mark.slow
async def test_durable_means_that_the_disk_is_asked(writer: Writer) -> None:
    """A flagged event is on the disk, not in a cache that a power cut empties."""
    await writer.write(events(1))
    assert writer._db is not None
    assert list(await writer._db.execute_fetchall("PRAGMA synchronous")) == [(2,)]
