"""Tests of asking the log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.queries import open_reader
from appliance.events.record import Entry, from_access, from_review
from appliance.events.schema import VERSION, prepare
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.person import Person
from tests.doubles.events import ALLOWED, BLOCKED, PUPIL, START, access, review


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A folder with a log of ten accesses, one a minute; each third is flagged."""
    other = replace(PUPIL, name="Grace Example")
    entries: list[Entry] = [
        from_access(
            access(
                number,
                BLOCKED if number % 3 == 0 else ALLOWED,
                person=other if number % 2 else PUPIL,
                at=START + timedelta(minutes=number),
            )
        )
        for number in range(10)
    ]
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([*entries, from_review(review(1)), from_review(review(2))])
    await writer.close()
    return tmp_path


async def numbers(state: Path, **question: object) -> list[int]:
    """Return which of the ten accesses fit a question."""
    async with open_reader(state) as reader:
        found = await reader.accesses(**question)  # type: ignore[arg-type] # the table of cases below is typed
    return [int(record.reference[-5:]) for record in found]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({}, list(range(10))),
        ({"limit": 3}, [7, 8, 9]),
        ({"limit": 0}, []),
        ({"limit": -5}, []),
        ({"flagged": True}, [0, 3, 6, 9]),
        ({"flagged": True, "limit": 2}, [6, 9]),
        ({"since": START + timedelta(minutes=8)}, [8, 9]),
        ({"since": START + timedelta(days=1)}, []),
        ({"person": "Grace Example"}, [1, 3, 5, 7, 9]),
        ({"person": "Grace Example", "flagged": True, "since": START + timedelta(minutes=4)}, [9]),
        ({"person": "' OR 1=1 --"}, []),
        ({"reference": "REF-00006"}, [6]),
        ({"reference": "REF-00007"}, []),
    ],
)
async def test_a_question_is_answered_oldest_first(
    state: Path, question: dict[str, object], answer: list[int]
) -> None:
    """Who asks for the last hour gets the newest that fit, and reads them in order."""
    assert await numbers(state, **question) == answer


async def test_a_record_comes_back_as_it_was_written(state: Path) -> None:
    """Page, log and report speak of the same thing."""
    async with open_reader(state) as reader:
        (last,) = await reader.accesses(limit=1)
    assert last == from_access(
        access(9, BLOCKED, person=replace(PUPIL, name="Grace Example"), at=START + timedelta(minutes=9))
    )


@pytest.mark.slow
async def test_review_requests_are_found(state: Path) -> None:
    """What pupils report as a mistake reaches somebody."""
    async with open_reader(state) as reader:
        found = await reader.reviews(since=START)
        assert await reader.reviews(limit=1) == found[-1:]
    assert found == [from_review(review(1)), from_review(review(2))]


@pytest.mark.slow
async def test_a_reader_cannot_write(state: Path) -> None:
    """Whoever may look cannot change the record."""
    async with open_reader(state) as reader:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader._db.execute("DELETE FROM access")


@pytest.mark.slow
async def test_a_reader_does_not_hold_up_a_writer(state: Path) -> None:
    """A long look at the log never delays a pupil's page, nor does a writer delay the look."""
    writer = Writer(state / DATABASE, durable=True, patience=0)
    async with open_reader(state) as reader:
        await reader._db.execute("BEGIN")
        assert len(await reader.accesses()) == 10
        await writer.write([from_access(access(11))])
        with closing(sqlite3.connect(state / DATABASE, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            assert len(await reader.accesses()) == 10
            db.execute("ROLLBACK")
    await writer.close()


@pytest.mark.slow
async def test_a_person_without_a_name_is_not_everybody(state: Path) -> None:
    """An empty name asks for all, never for the nameless only."""
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(50, person=Person("ks1", "network Infants")))])
    await writer.close()
    assert len(await numbers(state, person="", limit=100)) == 11


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "words"), [(VERSION + 1, "newer release"), (VERSION - 1, "older release")]
)
async def test_a_log_of_another_release_is_not_guessed_at(tmp_path: Path, version: int, words: str) -> None:
    """Columns that mean something else are not shown as if they were understood."""
    prepare(tmp_path / DATABASE)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(EventsError, match=words):
        async with open_reader(tmp_path):
            pass


async def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """No log yet, and a damaged one, are told apart and named."""
    with pytest.raises(EventsError, match="no event log there"):
        async with open_reader(tmp_path):
            pass
    (tmp_path / DATABASE).write_bytes(b"rubbish " * 600)
    with pytest.raises(EventsError, match="cannot be read"):
        async with open_reader(tmp_path):
            pass


@pytest.mark.slow
async def test_a_table_that_is_damaged_later_says_so(state: Path) -> None:
    """A card that loses pages is reported as such, and not as an empty day."""
    async with open_reader(state) as reader:
        with closing(sqlite3.connect(state / DATABASE)) as db:
            db.execute("DROP TABLE review")
        with pytest.raises(EventsError, match="cannot be read"):
            await reader.reviews()


async def test_a_folder_with_odd_letters_is_found(tmp_path: Path) -> None:
    """A question mark or a per cent sign in a path is part of the path."""
    odd = tmp_path / "a?b%20#c"
    odd.mkdir()
    prepare(odd / DATABASE)
    async with open_reader(odd) as reader:
        assert await reader.accesses() == []


async def test_the_review_of_one_block_page_is_found(state: Path) -> None:
    """Whoever decides on a request reads what was said with it, and nobody else's words."""
    async with open_reader(state) as reader:
        everything = await reader.reviews()
        assert await reader.reviews(reference=everything[0].reference) == everything[:1]
        assert await reader.reviews(reference="none") == []


async def test_what_one_rule_decided_is_found(state: Path) -> None:
    """The report of an override shows what was open by it, and nothing else."""
    entry = from_access(access(11, replace(ALLOWED, rule="override 7"), at=START + timedelta(minutes=11)))
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write([entry, entry._replace(reference="other", rule="override 77")])
    await writer.close()
    async with open_reader(state) as reader:
        found = await reader.accesses(rule="override 7", since=START)
        assert [record.reference for record in found] == [entry.reference]
        assert await reader.accesses(rule="override 7", since=START + timedelta(minutes=12)) == []
