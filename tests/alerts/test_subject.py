"""Tests of one person in the book of alerts: their cases alone, and open ones stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.alerts import cases, subject
from tests.doubles.alerts import MONDAY, book, happen, rules, sighting

pytestmark = pytest.mark.slow  # each makes a database


def test_only_closed_cases_of_that_person_go(tmp_path: Path) -> None:
    """An erasure ends no matter that staff have in hand, and touches no other child's case."""
    made = book(tmp_path)
    happen(made, rules(), sighting(1), sighting(2, "gambling"), sighting(3, who="Ben"))
    with made.writing() as db:
        cases.note(db, "A-00001", "head", "spoke with Ada", MONDAY.timestamp())
        cases.close(db, "A-00001", "head", "talked", MONDAY.timestamp())
        found = subject.kept(db, "Ada")
        assert [each.case.reference for each in found] == ["A-00001", "A-00002"]
        assert found[0].notes == ("spoke with Ada", "closed: talked")
        assert subject.erase(db, "Ada") == (["A-00001"], ["A-00002"])
        assert [case.reference for case in cases.cases(db, everything=True)] == ["A-00002", "A-00003"]
        for table in ("hit", "fired", "note", "outbox"):
            query = f"SELECT count(*) FROM {table} WHERE episode = 1"  # noqa: S608 - our own tables
            assert db.execute(query).fetchone() == (0,)


def test_what_counts_repeats_goes_with_the_last_case(tmp_path: Path) -> None:
    """After an erasure nothing in the book bears the name."""
    made = book(tmp_path)
    happen(made, rules(), sighting(1))
    with made.writing() as db:
        cases.close(db, "A-00001", "head", "talked", MONDAY.timestamp(), quiet_until=MONDAY.timestamp() + 9)
        subject.erase(db, "Ada")
        for table in ("tally", "mute", "episode"):
            query = f"SELECT count(*) FROM {table} WHERE subject = 'name Ada'"  # noqa: S608 - our own tables
            assert db.execute(query).fetchone() == (0,)
