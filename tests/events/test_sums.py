"""Tests of counting the log for reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.record import from_access, from_review
from appliance.events.store import DATABASE
from appliance.events.sums import reviews, sums
from appliance.events.writer import Writer
from tests.doubles.events import ALLOWED, BLOCKED, PUPIL, START, access, review

DAY = timedelta(days=1)


@pytest.mark.slow
async def test_each_access_in_the_span_is_counted_once(tmp_path: Path) -> None:
    """A report's figures are those of the log: persons apart, the same person of two days as one."""
    ben, nobody = replace(PUPIL, name="Ben"), replace(PUPIL, name="", device="")
    made = [access(1), access(2), access(3, BLOCKED), access(4, person=ben), access(5, at=START + DAY)]
    made += [access(6, person=nobody), access(7, at=START + 9 * DAY), access(8, at=START - DAY)]
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_access(each) for each in made])
    await writer.write([from_review(review(1)), from_review(review(2, START + 9 * DAY))])
    await writer.close()
    found = sums(tmp_path, START, START + 2 * DAY)
    assert sum(one.times for one in found) == 6
    assert sorted(one.times for one in found) == [1, 1, 1, 3]
    assert len({one.subject for one in found}) == 3
    assert [one.category for one in found if one.flagged] == [BLOCKED.category]
    assert {one.action for one in found if not one.flagged} == {ALLOWED.action.value}
    assert reviews(tmp_path, START, START + DAY) == 1


def test_no_log_is_said_in_words(tmp_path: Path) -> None:
    """A technician with the wrong folder reads so."""
    with pytest.raises(EventsError, match="no event log"):
        sums(tmp_path, START, START + DAY)
    with pytest.raises(EventsError, match="no event log"):
        reviews(tmp_path, START, START + DAY)
