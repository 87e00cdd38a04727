"""Tests of forgetting: in time, field by field, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.events import retention
from appliance.events.errors import EventsError
from appliance.events.fields import Keep, Retention
from appliance.events.queries import open_reader
from appliance.events.record import Record, from_access, from_review
from appliance.events.retention import retire
from appliance.events.store import DATABASE, SPILL, EventStore
from appliance.events.writer import Writer
from appliance.model.decision import Decision
from tests.doubles.events import ALLOWED, BLOCKED, START, access, review

DEFAULTS = Retention.of({})


def day(number: float) -> datetime:
    """Return a moment so many days after the first event."""
    return START + timedelta(days=number)


def event(days: float, decision: Decision = ALLOWED) -> Record:
    """Return what is stored of an access on that day."""
    return from_access(access(decision=decision, at=day(days)))


async def write(state: Path, *records: Record) -> None:
    """Put records into the log."""
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write(records)
    await writer.close()


async def read(state: Path) -> list[Record]:
    """Return everything that is left."""
    async with open_reader(state) as reader:
        return await reader.accesses(limit=10_000)


@pytest.mark.slow
async def test_raw_fields_go_first_and_the_decision_stays(tmp_path: Path) -> None:
    """After 90 days nobody can read any more who asked for which address, only what was decided (DP-5)."""
    await write(tmp_path, event(0))
    await retire(tmp_path, DEFAULTS, day(89))
    assert await read(tmp_path) == [event(0)]
    done = await retire(tmp_path, DEFAULTS, day(91.5))
    assert await read(tmp_path) == [
        event(0)._replace(host="", url=None, search_term="", name="", device="", client="")
    ]
    assert {key for key, count in done.blanked.items() if count == 1} == {
        "host",
        "url",
        "search_term",
        "name",
        "device",
        "client",
    }


@pytest.mark.slow
async def test_a_flagged_access_is_kept_whole_until_the_review(tmp_path: Path) -> None:
    """What the safeguarding lead may need is not blanked together with ordinary accesses."""
    await write(tmp_path, event(0, BLOCKED), event(0))
    await retire(tmp_path, DEFAULTS, day(394))
    assert event(0, BLOCKED) in await read(tmp_path)
    await retire(tmp_path, DEFAULTS, day(397))
    assert await read(tmp_path) == []


@pytest.mark.slow
async def test_nothing_is_left_behind_in_the_dictionaries(tmp_path: Path) -> None:
    """When a record is gone, no name and no reason of it waits in another table."""
    await write(tmp_path, event(0, BLOCKED), event(0))
    done = await retire(tmp_path, DEFAULTS, day(397))
    assert done.deleted == {"access": 2, "who": 2, "verdict": 2, "review": 0}
    assert b"Ada Example" not in await asyncio.to_thread((tmp_path / DATABASE).read_bytes)


@pytest.mark.slow
async def test_expired_names_are_overwritten_on_the_disk(tmp_path: Path) -> None:
    """Deleted means that the bytes are gone from the file, not only from the answers."""
    await write(tmp_path, event(0))
    await retire(tmp_path, DEFAULTS, day(92))
    content = await asyncio.to_thread((tmp_path / DATABASE).read_bytes)
    assert b"Ada Example" not in content
    assert b"/page/0" not in content


@pytest.mark.slow
async def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    """Hourly runs cost nothing when nothing has come due."""
    await write(tmp_path, event(0), event(50))
    await retire(tmp_path, DEFAULTS, day(92))
    again = await retire(tmp_path, DEFAULTS, day(92))
    assert not any((again.blanked | again.deleted).values())


@pytest.mark.slow
async def test_an_event_that_arrives_late_is_blanked_all_the_same(tmp_path: Path) -> None:
    """A spill file that was found after months brings back nothing that should be forgotten."""
    await write(tmp_path, event(10))
    await retire(tmp_path, DEFAULTS, day(120))
    await write(tmp_path, event(5), event(400))
    await retire(tmp_path, DEFAULTS, day(120))
    assert [record.url for record in await read(tmp_path)] == [None, None, event(400).url]
    assert [record.name for record in await read(tmp_path)] == ["", "", "Ada Example"]


@pytest.mark.slow
async def test_a_clock_that_goes_back_removes_nothing_more(tmp_path: Path) -> None:
    """A wrong clock that is set right does no further harm."""
    await write(tmp_path, event(0), event(80))
    await retire(tmp_path, DEFAULTS, day(92))
    done = await retire(tmp_path, DEFAULTS, day(1))
    assert not any((done.blanked | done.deleted).values())
    assert len(await read(tmp_path)) == 2


@pytest.mark.slow
async def test_shorter_terms_reach_back(tmp_path: Path) -> None:
    """A school that decides to keep less forgets the old, too."""
    await write(tmp_path, event(0), event(20), event(40))
    await retire(tmp_path, DEFAULTS, day(60))
    await retire(tmp_path, Retention.of({"url": Keep(30, 395), "method": 50}), day(60))
    assert [(record.url is None, record.method) for record in await read(tmp_path)] == [
        (True, ""),
        (True, "GET"),
        (False, "GET"),
    ]


@pytest.mark.slow
async def test_reviews_have_terms_of_their_own(tmp_path: Path) -> None:
    """What a pupil wrote is not kept longer than it takes to answer."""
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_review(review(1))])
    await writer.close()
    await retire(tmp_path, DEFAULTS, day(91))
    async with open_reader(tmp_path) as reader:
        (left,) = await reader.reviews()
    assert (left.client, left.message, left.reference) == ("", "", "REF-00001")
    await retire(tmp_path, DEFAULTS, day(396))
    async with open_reader(tmp_path) as reader:
        assert await reader.reviews() == []


@pytest.mark.slow
async def test_old_leftovers_go_as_well(tmp_path: Path) -> None:
    """A damaged spill file is personal data, too, and does not lie about for years."""
    store = await EventStore.open(tmp_path)
    await store.close()
    old, young = tmp_path / SPILL / "1.unreadable", tmp_path / SPILL / "2.unreadable"
    for path, when in ((old, day(0)), (young, day(300))):
        path.write_text("rubbish")
        os.utime(path, (when.timestamp(), when.timestamp()))
    await retire(tmp_path, DEFAULTS, day(396))
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.slow
async def test_writers_go_on_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting a term's worth of records does not send a flagged event to the spill file."""
    monkeypatch.setattr(retention, "BATCH", 20)
    await write(tmp_path, *(event(number / 100_000) for number in range(500)))
    store = await EventStore.open(tmp_path)
    run = asyncio.create_task(retire(tmp_path, DEFAULTS, day(100)))
    for number in range(20):
        await store.commit(access(number, BLOCKED, at=day(100)))
    await run
    await store.close()
    left = await read(tmp_path)
    assert len(left) == 520
    assert sum(record.url is not None for record in left) == 20


async def test_a_log_that_cannot_be_worked_on_is_reported(tmp_path: Path) -> None:
    """Retention that does not run is said, because it is a duty."""
    (tmp_path / DATABASE).write_bytes(b"rubbish " * 600)
    with pytest.raises(EventsError, match="damaged"):
        await retire(tmp_path, DEFAULTS, day(1))
    with pytest.raises(EventsError, match="could not be removed"):
        await retire(tmp_path / "missing", DEFAULTS, day(1))


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=25),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
)
def test_exactly_what_has_expired_is_gone(
    tmp_path_factory: Any, events: list[tuple[int, bool]], terms: tuple[int, int], runs: list[int]
) -> None:
    """Whatever the order of runs, each address is kept for its term and not a day longer."""
    state = tmp_path_factory.mktemp("state")
    asyncio.run(_check(state, events, Keep(min(terms), max(terms)), runs))


async def _check(state: Path, events: list[tuple[int, bool]], url: Keep, runs: list[int]) -> None:
    terms = Retention.of({"url": url, "name": url})
    await write(state, *(event(number, BLOCKED if flagged else ALLOWED) for number, flagged in events))
    for run in runs:
        await retire(state, terms, day(run + 0.5))
    last = max(runs) + 0.5
    for record in await read(state):
        age = last - (record.at - START).days
        term = url.flagged_days if record.flagged else url.days
        assert (record.url is None) == (age > term)
        # A name is kept once a day for everybody, so it goes at the end of that UTC day.
        assert not (record.name == "" and age <= term)
        assert not (record.name and age > term + 1)


def test_no_field_is_blanked_that_goes_with_its_record() -> None:
    """The nightly work is what is needed, and no more: one statement a table and term, not one a field."""
    due = list(retention._all_due(DEFAULTS, 10**13))
    assert [one.keys for one in due if one.act == "blank"] == [
        ("host", "url", "search_term"),
        ("name", "device", "client"),
        ("review_client", "review_message"),
    ]


@pytest.mark.slow
async def test_what_went_can_be_proved_afterwards(tmp_path: Path) -> None:
    """DP-2: the audit says of which class how many rows went, up to when, and a backup shows which ones."""
    await write(tmp_path, event(0), event(1), event(380, BLOCKED))
    done = await retire(tmp_path, DEFAULTS, day(91.5))
    ordinary = next(gone for gone in done.proof if gone.what.startswith("ordinary access"))
    assert ordinary.what == "ordinary access: host, url, search_term"
    assert (ordinary.rows, ordinary.upto) == (2, int(day(1.5).timestamp() * 1000))
    assert ordinary.digest == hashlib.sha256(b"1\n2\n").hexdigest()
    assert (await retire(tmp_path, DEFAULTS, day(91.5))).proof == []


@pytest.mark.slow
async def test_a_field_that_joins_others_reaches_back(tmp_path: Path) -> None:
    """An upgrade that gives a field a shorter term blanks it in the oldest records too."""
    await write(tmp_path, event(0))
    await retire(tmp_path, Retention.of({"host": 395}), day(92))
    assert (await read(tmp_path))[0].host == event(0).host
    await retire(tmp_path, DEFAULTS, day(92))
    assert (await read(tmp_path))[0].host == ""


@pytest.mark.slow
async def test_forgetting_a_day_writes_little_more_than_that_day(tmp_path: Path) -> None:
    """An SD card wears by what is written: each row is written once more, and no other page."""
    await write(tmp_path, *(event(number / 4000) for number in range(4_000)))
    path = tmp_path / DATABASE
    size = path.stat().st_size
    with closing(sqlite3.connect(path)) as watcher:  # keeps the write-ahead log, to be measured
        watcher.execute("SELECT 1 FROM access").fetchone()
        before = path.with_name(f"{DATABASE}-wal").stat().st_size
        await retire(tmp_path, DEFAULTS, day(91))
        grown = path.with_name(f"{DATABASE}-wal").stat().st_size - before
    assert grown < 2 * size


@pytest.mark.slow
def test_retired_rows_give_their_space_back(tmp_path: Path) -> None:
    """An SD card does not stay full because of what was deleted."""

    async def run() -> tuple[int, int]:
        await write(tmp_path, *(event(number / 10_000) for number in range(3_000)))
        with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
            before = db.execute("PRAGMA page_count").fetchone()[0]
        await retire(tmp_path, DEFAULTS, day(500))
        with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
            return before, db.execute("PRAGMA page_count").fetchone()[0]

    before, after = asyncio.run(run())
    assert after < before / 3
