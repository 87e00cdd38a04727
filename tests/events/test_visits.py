from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.visits import Counted, counted
from appliance.events.writer import Writer
from tests.doubles.events import ALLOWED, PUPIL, START, access

OVERRIDE = replace(ALLOWED, rule="override 7")
SINCE = START.timestamp()


async def test_what_one_rule_let_pass_is_counted_by_person_and_site(tmp_path: Path) -> None:
    """However often a class asked, the report is a line for each child and site, and of no other rule."""
    amy, ben = (replace(PUPIL, name=name) for name in ("amy", "ben"))
    found = [
        access(number, OVERRIDE, person=amy, at=START + timedelta(seconds=number)) for number in range(3)
    ]
    found += [access(4, OVERRIDE, person=ben, at=START + timedelta(days=2))]
    # The clock was put back while it was in force.
    found += [access(5, OVERRIDE, person=ben, at=START - timedelta(hours=20))]
    found += [access(6, replace(OVERRIDE, rule="override 70"), person=amy, at=START)]
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_access(one) for one in found])
    await writer.close()
    host, at = found[0].host, int(SINCE * 1000)
    rows = [row for row in counted(tmp_path, "override 7", SINCE) if row.name == "amy"]
    assert rows == [Counted("amy", amy.group, rows[0].device, rows[0].client, host, 3, at, at + 2002)]
    assert sum(row.times for row in counted(tmp_path, "override 7", SINCE) if row.name == "ben") == 2
    assert counted(tmp_path, "override 8", SINCE) == []


def test_a_log_that_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    """No report is made of a log that is not there: it would say that nobody visited anything."""
    with pytest.raises(EventsError, match="no event log"):
        counted(tmp_path, "override 7", SINCE)
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(EventsError, match="cannot be read"):
        counted(tmp_path, "override 7", SINCE)
