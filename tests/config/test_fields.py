"""Single values: times, days, names and sentences."""

from __future__ import annotations

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.fields import clock, clock_text, day, name, sentence, zone_text


@pytest.mark.parametrize("text", ["25:00", "24:01", "12:60", "99:99"])
def test_times_that_never_occur_are_refused(text: str) -> None:
    """A rule at 25:00 would look like a rule and never be one."""
    with pytest.raises(ValueError, match="never occurs"):
        clock(text)


@pytest.mark.parametrize(
    "text", ["noon", "12", "12.15", "12:5", "-1:00", "12:15:00", "", "12:15 ", 735, None, True]
)
def test_what_is_no_time_is_refused(text: object) -> None:
    """Nothing is guessed: not seconds, not numbers that YAML might have made of a time."""
    with pytest.raises(ValueError, match="no time of day"):
        clock(text)


@pytest.mark.slow
@given(st.times())
def test_every_minute_of_the_day_is_a_time(moment: time) -> None:
    """All 1440 of them, and 24:00 as the midnight that ends a day."""
    assert clock(f"{moment:%H:%M}").time == moment.replace(second=0, microsecond=0, fold=0)
    assert clock("24:00").time == time(0, 0)
    assert clock_text("08:50") == "08:50"


@pytest.mark.parametrize("text", ["2026-02-31", "2026-02-29", "2026-13-01", "2026-00-10"])
def test_days_that_no_calendar_has_are_refused(text: str) -> None:
    """31 February is a slip; guessing 3 March would be a worse one."""
    with pytest.raises(ValueError, match="never occurs"):
        day(text)


@pytest.mark.parametrize("text", ["1.9.2026", "02/09/2026", "2026", 20260902, "2026-9-2", "", None])
def test_what_is_no_day_is_refused(text: object) -> None:
    """2 September and 9 February look alike in half of the world's spellings; only one is read."""
    with pytest.raises(ValueError, match="no date"):
        day(text)


@given(st.dates())
def test_every_day_of_the_calendar_is_a_day(written: date) -> None:
    """Leap days included."""
    assert day(written.isoformat()) == written
    assert day(written) == written


@pytest.mark.parametrize("text", ["KS2", "key stage 2", "", "2ks", "a" * 65, "__x", "../etc", "ks2\n"])
def test_names_are_plain(text: str) -> None:
    """A name stands in file names, URLs of reports and metric labels: nothing needs escaping there."""
    with pytest.raises(ValueError, match="no name"):
        name(text)


@pytest.mark.parametrize("text", ["ks2", "_pupils", "games_educational", "year-4"])
def test_names_that_are_used(text: str) -> None:
    """Letters, digits, underscore and hyphen; an underscore in front marks a base."""
    assert name(text) == text


@pytest.mark.parametrize(
    "text", ["policy", "because.", "It is so", "it is not for schools.", "", "   ", "A B C."]
)
def test_a_reason_must_be_a_sentence(text: str) -> None:
    """A governor reads it (DFE-R2): a word or a fragment explains nothing."""
    with pytest.raises(ValueError, match="must be a sentence"):
        sentence(text)


def test_a_reason_is_kept_on_one_line() -> None:
    """However it was folded in the file, it is one line in the log and on the page."""
    assert sentence(" Gambling is not\n  for schools. ") == "Gambling is not for schools."


def test_a_time_zone_must_exist() -> None:
    """A misspelt zone would shift every timetable."""
    assert zone_text("Europe/London") == "Europe/London"
    with pytest.raises(ValueError, match="did you mean 'Europe/London'"):
        zone_text("Europe/Lodnon")
