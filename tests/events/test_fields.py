"""Tests of the terms: each field has one, and they cannot contradict each other."""

from __future__ import annotations

import pytest

from appliance.events.fields import FIELDS, RAW, YEAR, Keep, Retention
from appliance.events.record import Record, Review


def test_every_field_of_a_record_has_a_purpose_and_a_term() -> None:
    """What is kept can be told to a parent, field by field (DP-2, UKM-5)."""
    accesses = {field.key for field in FIELDS.values() if field.table != "review"}
    reviews = {field.column for field in FIELDS.values() if field.table == "review"}
    assert accesses == set(Record._fields)
    assert reviews == set(Review._fields)
    assert all(field.purpose for field in FIELDS.values())


def test_the_defaults_follow_the_proposal() -> None:
    """Raw addresses and names go after 90 days, the pseudonymous decision after 13 months (DP-5)."""
    keep = Retention.of({}).keep
    for key in ("url", "search_term", "client", "name", "device"):
        assert keep[key] == Keep(RAW, YEAR)
    assert keep["reason"] == keep["group"] == Keep(YEAR, YEAR)


def test_a_school_may_keep_less() -> None:
    """One number counts for both kinds of access, a pair for each."""
    keep = Retention.of({"url": 30, "name": Keep(7, 200)}).keep
    assert (keep["url"], keep["name"]) == (Keep(30, 30), Keep(7, 200))


def test_a_shorter_record_needs_shorter_fields() -> None:
    """A field that would outlive its record is a mistake in the settings, and named."""
    with pytest.raises(ValueError, match=r"reason: .* longer than the record itself") as caught:
        Retention.of({"time": 100})
    assert "url: " in str(caught.value)
    everything = dict.fromkeys((key for key, field in FIELDS.items() if field.table != "review"), 30)
    assert Retention.of(everything).keep["flagged"] == Keep(30, 30)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"urll": 30}, "did you mean 'url'"),
        ({"zzz": 30}, "There are: time, flagged"),
        ({"url": 0}, "at least 1 day"),
        ({"url": Keep(30, -1)}, "at least 1 day"),
        ({"host": 30, "url": 60}, "url: .* which an address contains"),
        ({"flagged": 30}, "exactly as long as the record"),
        ({"review_message": 400}, "longer than the record"),
    ],
)
def test_a_term_that_makes_no_sense_is_named(days: dict[str, int | Keep], words: str) -> None:
    """A technician reads which line to change, and what else was possible."""
    with pytest.raises(ValueError, match=words):
        Retention.of(days)


def test_all_problems_are_told_at_once() -> None:
    """Nobody corrects a settings file one error at a time."""
    with pytest.raises(ValueError, match=r".") as caught:
        Retention.of({"urll": 3, "name": 0, "device": 0})
    assert len(str(caught.value).splitlines()) == 3
