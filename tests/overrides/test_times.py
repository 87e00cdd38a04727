from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.overrides.names import OverrideError
from appliance.overrides.times import at_school, moment

LONDON = ZoneInfo("Europe/London")
WINTER = datetime(2026, 11, 25, 10, tzinfo=UTC).timestamp()
SUMMER = datetime(2026, 6, 24, 10, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "now", "utc"),
    [
        ("10:50", WINTER, "2026-11-25T10:50"),
        ("10:50", SUMMER, "2026-06-24T09:50"),
        ("2026-06-24T10:50", WINTER, "2026-06-24T09:50"),
        ("2026-06-24T10:50Z", WINTER, "2026-06-24T10:50"),
        ("2026-06-24T10:50+02:00", WINTER, "2026-06-24T08:50"),
        ("2026-10-25T01:30", WINTER, "2026-10-25T00:30"),
        ("2026-10-25T02:00", WINTER, "2026-10-25T02:00"),
    ],
)
def test_a_time_is_read_from_the_schools_clock(text: str, now: float, utc: str) -> None:
    """S-36: a lesson ends when the school's clock says so, in summer and in winter."""
    assert moment(text, LONDON, now) == datetime.fromisoformat(f"{utc}+00:00").timestamp()


@pytest.mark.parametrize("text", ["2026-03-29T01:30", "25:00", "soon", "2026-11-25", "2026-02-30T10:00", ""])
def test_a_time_that_never_occurs_is_refused(text: str) -> None:
    """An hour that the clocks skip would end at some other time than was meant."""
    with pytest.raises(OverrideError):
        moment(text, LONDON, WINTER)


def test_a_moment_is_shown_as_the_school_sees_it() -> None:
    """A teacher compares what is shown with the clock on the wall."""
    assert at_school(SUMMER, LONDON) == "2026-06-24 11:00"
    assert at_school(None, LONDON) == ""
