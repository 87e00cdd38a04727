"""Named times: bells, terms, nights, and the two days a year on which the clocks change (S-36)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.timetable import Term, Timetable, When, Window
from appliance.policy.schedule import within
from tests.policy.strategies import moments, timetables

LONDON = ZoneInfo("Europe/London")
AUTUMN = Term("Autumn", date(2026, 9, 2), date(2026, 12, 18))
WEEKDAYS = frozenset(range(5))
EVERY_DAY = frozenset(range(7))


def table(start: str, end: str, days: frozenset[int] = EVERY_DAY, when: When = When.ALWAYS) -> Timetable:
    window = Window(days, time.fromisoformat(start), time.fromisoformat(end))
    return Timetable("test", (window,), when, (AUTUMN,), LONDON)


def at(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-23T12:14:59", False),
        ("2026-11-23T12:15:00", True),
        ("2026-11-23T13:14:59", True),
        ("2026-11-23T13:15:00", False),
        ("2026-11-22T12:30:00", False),  # a Sunday
        ("2026-12-18T12:30:00", True),  # the last day of term
        ("2026-12-21T12:30:00", False),  # a Monday in the holidays
        ("2026-09-01T12:30:00", False),  # the day before term
        ("2026-09-02T12:30:00", True),
    ],
)
def test_lunch_is_open_on_school_days_only(moment: str, open_: bool) -> None:
    """A lunch-time rule opens to the second, on weekdays in term, and never in the holidays."""
    assert within(table("12:15", "13:15", WEEKDAYS, When.TERM), at(moment)) is open_


def test_the_same_moment_in_any_zone_gets_the_same_answer() -> None:
    """The gateway's clock is UTC, the school's is not: in summer noon at school is 11:00 UTC."""
    lunch = table("12:15", "13:15")
    assert within(lunch, datetime(2026, 7, 6, 11, 30, tzinfo=UTC))
    assert not within(lunch, datetime(2026, 7, 6, 12, 30, tzinfo=UTC))
    assert within(lunch, datetime(2026, 11, 23, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-12-18T19:59", False),
        ("2026-12-18T20:00", True),  # Friday, the last day of term
        ("2026-12-19T05:59", True),  # still Friday's night
        ("2026-12-19T06:00", False),
        ("2026-12-19T20:00", False),  # Saturday is not among the days
        ("2026-09-02T05:00", False),  # Tuesday's night was before term
        ("2026-09-03T05:00", True),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_starts(moment: str, open_: bool) -> None:
    """A window past midnight follows the weekday and the term of its first day, not of its second."""
    assert within(table("20:00", "06:00", WEEKDAYS, When.TERM), at(moment)) is open_


def test_a_whole_day_has_no_gap() -> None:
    """From 00:00 to 24:00 (kept as 00:00) covers every second of the day."""
    day = table("00:00", "00:00")
    assert all(within(day, at("2026-11-23T00:00") + timedelta(minutes=10 * n)) for n in range(144))


def test_the_hour_skipped_in_spring_never_opens() -> None:
    """On 28 March 2027 the clock goes from 01:00 to 02:00: a window in between does not happen."""
    gap = table("01:15", "01:45")
    start = datetime(2027, 3, 28, 0, 0, tzinfo=UTC)
    assert not any(within(gap, start + timedelta(minutes=n)) for n in range(180))
    assert within(gap, start - timedelta(days=1) + timedelta(minutes=90))


def test_the_hour_repeated_in_autumn_counts_twice() -> None:
    """On 25 October 2026 the clock shows 01:30 twice, an hour apart; both are within."""
    window = table("01:15", "01:45")
    first, second = at("2026-10-25T01:30"), at("2026-10-25T01:30", fold=1)
    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)
    assert within(window, first)
    assert within(window, second)


def test_holidays_are_what_no_term_covers() -> None:
    """A holiday timetable applies outside of every term, and never where no terms are known."""
    holiday = table("09:00", "17:00", EVERY_DAY, When.HOLIDAY)
    assert within(holiday, at("2026-12-21T10:00"))
    assert not within(holiday, at("2026-11-23T10:00"))
    unknown = Timetable("test", holiday.windows, When.HOLIDAY, (), LONDON)
    assert not within(unknown, at("2026-12-21T10:00"))


def test_a_moment_without_a_zone_is_never_within() -> None:
    """Nobody can say when a naive time is, so that it opens nothing."""
    assert not within(table("00:00", "00:00"), datetime(2026, 11, 23, 12, 0))  # noqa: DTZ001 - the point


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_open_nothing(moment: datetime) -> None:
    """A clock at the first or last day of the calendar (a flat battery) must not raise."""
    assert within(table("20:00", "06:00"), moment) in {True, False}


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(timetables, moments)
def test_it_always_answers(timetable: Timetable, moment: datetime) -> None:
    """Whatever the timetable and the clock, the answer is yes or no, never an exception."""
    assert within(timetable, moment) in {True, False}


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 6),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
)
def test_it_equals_counting_minutes(day: int, start: time, end: time, naive: datetime) -> None:
    """A window is what a person finds by counting on from its start (in a zone without summer time)."""
    window = Window(frozenset({day}), start, end)
    moment = naive.replace(tzinfo=UTC)
    timetable = Timetable("test", (window,), When.ALWAYS, (), ZoneInfo("UTC"))
    expected = False
    for back in (0, 1):
        first = datetime.combine(moment.date() - timedelta(days=back), start, UTC)
        last = datetime.combine(first.date() + timedelta(days=end <= start), end, UTC)
        expected |= first.weekday() == day and first <= moment < last
    assert within(timetable, moment) is expected
