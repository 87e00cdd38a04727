from __future__ import annotations

from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.past import past, span
from appliance.events.record import from_access, milliseconds
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from tests.doubles.events import BLOCKED, START, access

pytestmark = pytest.mark.slow  # each makes a database


async def test_past_accesses_are_read_in_parts(tmp_path: Path) -> None:
    """What is judged again has its address, its time and its profile, and each is read once."""
    prepare(tmp_path / DATABASE)
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(number, decision=BLOCKED)) for number in range(5)])
    await writer.close()
    first, end = span(tmp_path, 0)
    assert end - first == 5
    found = [*past(tmp_path, first, first + 2), *past(tmp_path, first + 2, end)]
    whole = [from_access(access(number, decision=BLOCKED)) for number in range(5)]
    assert [(one.time, one.url, one.group) for one in found] == [(w.time, w.url, w.group) for w in whole]
    assert span(tmp_path, milliseconds(START) + 10**12) == (0, 0)


def test_where_there_is_no_log_it_is_told(tmp_path: Path) -> None:
    """A wrong state folder is an error in words."""
    with pytest.raises(EventsError, match="no event log"):
        span(tmp_path, 0)
    (tmp_path / DATABASE).write_bytes(b"broken" * 99)
    with pytest.raises(EventsError, match="cannot be read"):
        list(past(tmp_path, 0, 1))
