"""A clock that leapt ahead removes nothing for a day."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.holds import hold, release
from appliance.events.leap import leapt
from appliance.events.store import DATABASE
from tests.doubles.events import START


async def asked(state: Path, *days: float) -> list[bool]:
    return [await leapt(state, START + timedelta(days=one)) for one in days]


async def test_a_clock_that_goes_on_or_back_holds_nothing_up(tmp_path: Path) -> None:
    """Each hour, after a weekend, and after a clock that was put back by a year."""
    assert await asked(tmp_path, 0, 1 / 24, 3, 9, -365, -364) == [False] * 6


async def test_a_year_ahead_is_believed_after_a_day_and_not_before(tmp_path: Path) -> None:
    """A battery that is empty must not cost a year of records; a gateway that was off for one goes on."""
    assert await asked(tmp_path, 0, 365, 365.5, 365.9, 366.1, 366.2) == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


async def test_a_clock_that_is_put_right_within_the_day_has_removed_nothing(tmp_path: Path) -> None:
    """And the next time that it is wrong counts anew."""
    assert await asked(tmp_path, 0, 365, 0.2, 365.9, 2, 366.9) == [False, True, False, True, False, True]


async def test_the_end_of_a_hold_does_not_make_it_forget(tmp_path: Path) -> None:
    """Unfreezing looks at everything again, and at the clock as before."""
    assert await asked(tmp_path, 0) == [False]
    await hold(tmp_path, "Ada", 0.0)
    await release(tmp_path, "Ada")
    assert await asked(tmp_path, 365) == [True]


async def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where it cannot be noted, nothing is removed."""
    await asked(tmp_path, 0)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute("DROP TABLE retired")
    with pytest.raises(EventsError, match="cannot be noted"):
        await asked(tmp_path, 1)
