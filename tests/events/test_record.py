"""Tests of what may be stored: hostile text, limits, and the floor's second lock."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.events.record import (
    MAX_TEXT,
    MAX_URL,
    clean,
    from_access,
    from_line,
    from_review,
    milliseconds,
    moment,
    to_line,
)
from appliance.model.decision import Reason
from tests.doubles.events import ALLOWED, BLOCKED, FLOOR, access, review

HOSTILE = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.mark.slow
@settings(max_examples=40)
@given(HOSTILE)
def test_any_text_becomes_storable(text: str) -> None:
    """Text from the network, with half characters and NUL, never breaks the database."""
    cleaned = clean(text, 40)
    assert len(cleaned) <= 40
    assert "\0" not in cleaned
    assert cleaned.encode().decode() == cleaned


@pytest.mark.slow
@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_ordinary_text_of_any_script_is_kept_as_it_is(text: str) -> None:
    """The record is evidence: Arabic, emoji and line ends stay what they were."""
    assert clean(text, 40) == text


def test_half_characters_become_visible() -> None:
    """A host with bytes that are no UTF-8 can still be told apart from another."""
    assert clean("a\udc80b\0c") == "a\\udc80b\\x00c"


def test_a_huge_address_is_cut_with_a_mark() -> None:
    """64 KB in one address cannot fill the disk, and nobody takes the cut one for the whole."""
    record = from_access(replace(access(), url="https://x.example/" + "a" * 65_536, host="h" * 9_000))
    assert record.url is not None
    assert (len(record.url), record.url[-1]) == (MAX_URL, "…")
    assert len(record.host) == MAX_TEXT


@pytest.mark.parametrize("decision", [FLOOR, replace(FLOOR, floor=False), replace(BLOCKED, floor=True)])
def test_a_floor_hit_keeps_no_address(decision: object) -> None:
    """Suspected illegal addresses are never stored, whatever the caller handed in (ILL-1)."""
    record = from_access(access(decision=decision))  # type: ignore[arg-type] # mypy widens the list
    assert (record.host, record.url, record.search_term) == ("", None, "")
    assert "bets.example" not in to_line(record)
    assert (record.name, record.client) == ("Ada Example", "10.4.0.14")


def test_an_ordinary_access_is_kept_whole() -> None:
    """What a safeguarding lead asks for is there: who, when, what, why and by which rule (S-40, DFE-F10)."""
    record = from_access(access(7, BLOCKED))
    assert record.url == "https://www.bets.example/page/7?q=odds"
    assert (record.at, record.name, record.device, record.confidence) == (
        access(7).at,
        "Ada Example",
        "ipad-014",
        "certain",
    )
    assert (record.reason, record.rule, record.list, record.severity, record.flagged) == (
        "unacceptable",
        "profiles/westways/ks2.yaml:14",
        "ut1-gambling",
        2,
        1,
    )


def test_numbers_that_no_database_holds_are_bounded() -> None:
    """One absurd length in a header cannot make a whole batch fail."""
    record = from_access(replace(access(), bytes_sent=10**30, bytes_received=-5))
    assert (record.bytes_sent, record.bytes_received) == (2**63 - 1, 0)


def test_a_moment_without_a_zone_is_refused() -> None:
    """A time that could be read in two ways is no evidence."""
    with pytest.raises(TypeError):
        from_access(replace(access(), at=datetime(2026, 11, 23, 10)))  # noqa: DTZ001 - the naive one is the point


@pytest.mark.slow
@settings(max_examples=40)
@given(st.datetimes(timezones=st.just(UTC)))
def test_time_is_kept_to_the_millisecond(at: datetime) -> None:
    """Order and minute of an incident can be relied upon."""
    back = moment(milliseconds(at))
    assert 0 <= (at - back).total_seconds() < 0.001


@pytest.mark.slow
@settings(max_examples=40)
@given(HOSTILE, HOSTILE)
def test_a_spilled_line_reads_back_the_same(host: str, term: str) -> None:
    """What went to the spill file comes out of it unchanged, one line an event."""
    for entry in (
        from_access(replace(access(decision=BLOCKED), host=host, url=term, search_term=term)),
        from_review(replace(review(), message=term)),
    ):
        line = to_line(entry)
        assert line.isascii()
        assert "\n" not in line
        assert from_line(line) == entry


def test_an_address_that_was_never_kept_stays_none_in_the_spill() -> None:
    """A floor hit survives the spill file without getting an address."""
    assert from_line(to_line(from_access(access(decision=FLOOR)))) == from_access(access(decision=FLOOR))


def _line(**changes: object) -> str:
    return json.dumps({"access": from_access(access())._asdict() | changes})


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"access": {}}',
        '{"access": 3}',
        '{"other": {}}',
        _line(surprise=1),
        _line(time="yesterday"),
        _line(time=None),
        _line(time=10**30),
        _line(host=None),
        _line(host=5),
        _line(host="\ud800"),
        _line(url=5),
        _line(flagged=True),
    ],
)
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    """A damaged spill file costs its damaged lines, and never poisons the database."""
    with pytest.raises(ValueError, match=r".*"):
        from_line(line)


def test_an_allowed_access_with_reason_floor_does_not_exist_but_is_hidden() -> None:
    """Either sign of a statutory list is enough to keep the address out."""
    assert from_access(access(decision=replace(ALLOWED, reason=Reason.FLOOR))).host == ""
