"""Tests of how a record lies in the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.events import rows
from appliance.events.record import Record, from_access, from_review
from appliance.events.schema import MIGRATIONS
from appliance.model.person import Person
from tests.doubles.events import ALLOWED, BLOCKED, FLOOR, access, review

HOSTILE = st.text(st.characters(exclude_categories=()), max_size=20)


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    """A database in memory with the current tables."""
    with closing(sqlite3.connect(":memory:")) as opened:
        for statement in (statement for step in MIGRATIONS for statement in step):
            opened.execute(statement)
        yield opened


def through(db: sqlite3.Connection, record: Record) -> Record:
    """Put a record in and read it out, as writer and queries do."""
    db.execute("DELETE FROM access")
    who = db.execute(rows.ADD_WHO, rows.who_key(record)).lastrowid or 0
    verdict = db.execute(rows.ADD_VERDICT, rows.verdict_key(record)).lastrowid or 0
    assert (who,) in db.execute(rows.FIND_WHO, rows.who_key(record)).fetchall()
    assert (verdict,) in db.execute(rows.FIND_VERDICT, rows.verdict_key(record)).fetchall()
    db.execute(rows.ADD_ACCESS, rows.access_row(record, who, verdict))
    return rows.read_row(db.execute(rows.SELECT).fetchone())


@pytest.mark.slow
@settings(max_examples=40)
@given(HOSTILE, HOSTILE, st.none() | HOSTILE, st.sampled_from([ALLOWED, BLOCKED, FLOOR]))
def test_every_record_comes_out_as_it_went_in(
    db: sqlite3.Connection, name: str, host: str, url: str | None, decision: object
) -> None:
    """No text from the network can change or lose another field of the record."""
    one = access(decision=decision)  # type: ignore[arg-type] # sampled_from widens the type
    person = Person(group=host, source=name, name=name, device=host)
    record = from_access(
        replace(one, person=person, reference=name, host=host, url=url, method=host, search_term=name)
    )
    assert through(db, record) == record


@pytest.mark.slow
@settings(max_examples=40)
@given(st.none() | HOSTILE, HOSTILE)
@example("https://a.example/x", "a.example")
@example("http://a.example", "a.example")
@example("sneaky", "")
@example("", "a.example")
@example("https://", "")
def test_packing_an_address_loses_nothing(url: str | None, host: str) -> None:
    """An address that looks like a packed one is still read back exactly."""
    assert rows.unpack_url(rows.pack_url(url, host), host) == url


def test_the_host_is_not_stored_twice() -> None:
    """Space on an SD card is short, and most of a row is its address."""
    assert rows.pack_url("https://www.bets.example/odds", "www.bets.example") == "s/odds"


def test_a_record_whose_dictionary_entries_have_expired_is_still_shown(db: sqlite3.Connection) -> None:
    """A flagged access does not vanish from an answer because something beside it has gone."""
    record = from_access(access(decision=BLOCKED))
    through(db, record)
    db.execute("DELETE FROM who")
    db.execute("DELETE FROM verdict")
    left = rows.read_row(db.execute(rows.SELECT).fetchone())
    assert (left.reference, left.flagged, left.name, left.reason) == (record.reference, 1, "", "")


def test_the_same_access_is_known_again_and_another_is_not(db: sqlite3.Connection) -> None:
    """What was spilled and written late is one row; the next access of the same page is another (F10)."""
    record = from_access(access(1, BLOCKED))
    through(db, record)
    assert db.execute(*rows.same(record)).fetchall()
    assert not db.execute(*rows.same(record._replace(time=record.time + 1))).fetchall()
    assert not db.execute(*rows.same(record._replace(reference="OTHER"))).fetchall()
    said = from_review(review(1))
    assert not db.execute(*rows.same(said)).fetchall()
    db.execute(rows.ADD_REVIEW, said)
    assert db.execute(*rows.same(said)).fetchall()
