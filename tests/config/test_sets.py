"""set.yaml: terms, bells and timetables."""

from __future__ import annotations

from datetime import date, time

import pytest

from appliance.config.document import parse
from appliance.config.problems import ProblemsError
from appliance.config.sets import SchoolSet, read_set
from appliance.model.timetable import Term, When, Window

HEAD = "set: hill\ntitle: Hill\nstrictest: ks2\n"
TERMS = "terms: [{name: Autumn, first: 2026-09-02, last: 2026-12-18}]\n"
BELLS = "bells: {lunch: 12:15, afternoon: '13:15', dinner: 12:15}\n"


def hill(windows: str, head: str = HEAD + TERMS + BELLS, more: str = "") -> SchoolSet:
    text = f"{head}timetables:\n  lunch:\n    windows: {windows}\n{more}"
    return read_set(parse(text.encode(), "set.yaml"), "hill")


def test_bells_and_times_are_read_quoted_or_not() -> None:
    """12:15 and '12:15' are the same quarter past twelve."""
    timetable = hill(
        "[{from: lunch, to: '13:15'}, {days: [sat, sun], from: 10:00, to: afternoon}]"
    ).timetables["lunch"]
    assert timetable.windows == (
        Window(frozenset(range(5)), time(12, 15), time(13, 15)),
        Window(frozenset({5, 6}), time(10), time(13, 15)),
    )
    assert (timetable.when, timetable.zone.key) == (When.TERM, "Europe/London")
    assert timetable.terms == (Term("Autumn", date(2026, 9, 2), date(2026, 12, 18)),)


def test_the_end_of_a_day_is_24_00() -> None:
    """The model keeps it as the midnight of the next day."""
    windows = hill("[{days: [every_day], from: 18:00, to: 24:00}]").timetables["lunch"].windows
    assert windows == (Window(frozenset(range(7)), time(18), time(0)),)


@pytest.mark.parametrize(
    ("windows", "head", "message"),
    [
        ("[{from: lunch, to: dinner}]", HEAD + TERMS + BELLS, "'lunch' and 'dinner' are the same time"),
        ("[{from: lunhc, to: 13:15}]", HEAD + TERMS + BELLS, "unknown bell 'lunhc'; did you mean 'lunch'?"),
        ("[{from: 12:00, to: 13:00}]", HEAD, "this set has no 'terms': it would never apply"),
        ("[]", HEAD + TERMS, "'windows' must not be empty"),
    ],
)
def test_times_that_never_occur_are_refused(windows: str, head: str, message: str) -> None:
    """By way of bells, of missing terms, or of nothing at all."""
    with pytest.raises(ProblemsError, match=message):
        hill(windows, head)


def test_a_bell_that_is_wrong_is_told_once() -> None:
    """Not again at every window that uses it; what else is wrong in the file is told in the same run."""
    head = HEAD.replace("hill", "hil", 1) + TERMS + "bells: {lunch: 25:00}\n"
    with pytest.raises(ProblemsError) as caught:
        hill("[{from: lunch, to: 13:15}, {from: 12:00, to: tea}]", head)
    messages = [problem.message for problem in caught.value.problems]
    assert len(messages) == 3
    assert "25:00 never occurs" in messages[1]


def test_always_needs_no_terms() -> None:
    """A timetable for every day of the year is good without a calendar."""
    found = hill("[{from: 12:00, to: 13:00}]", HEAD, "    when: always\n")
    assert found.timetables["lunch"].when is When.ALWAYS


@pytest.mark.parametrize(
    ("windows", "when", "words"),
    [
        ("[{from: lunch, to: afternoon}]", "term", "on school days, Monday to Friday 12:15 to 13:15"),
        ("[{days: [sat], from: 10:00, to: 24:00}]", "always", "Saturday 10:00 to midnight"),
        (
            "[{days: [every_day], from: 20:00, to: 07:00}, {days: [mon, tue], from: 9:00, to: 10:00}]",
            "holiday",
            "in the holidays, every day 20:00 to 07:00 of the next day and Monday, Tuesday 09:00 to 10:00",
        ),
    ],
)
def test_times_are_said_in_words(windows: str, when: str, words: str) -> None:
    """A pupil whom a page sends away is told when to come back."""
    assert hill(windows, more=f"    when: {when}\n").timetables["lunch"].words == words
