"""Tests of the order in which an event is dealt with."""

from __future__ import annotations

import pytest

from appliance.recording import Recorder
from tests.doubles.events import ALLOWED, BLOCKED, MemoryCounts, MemoryEvents, access, review


@pytest.fixture
def events() -> MemoryEvents:
    """A log in memory."""
    return MemoryEvents()


@pytest.fixture
def counts() -> MemoryCounts:
    """A counter in memory."""
    return MemoryCounts()


@pytest.fixture
def recorder(events: MemoryEvents, counts: MemoryCounts) -> Recorder:
    """The recorder under test."""
    return Recorder(events, counts)


async def test_a_flagged_access_is_committed(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts
) -> None:
    """Nothing flagged waits in a queue that a power cut empties."""
    await recorder.record(access(1, BLOCKED))
    assert (events.committed, events.queued) == ([access(1, BLOCKED)], [])
    assert counts.requests == [BLOCKED]


async def test_an_ordinary_access_is_queued(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts
) -> None:
    """An ordinary page waits for no disk."""
    await recorder.record(access(1))
    assert (events.committed, events.queued) == ([], [access(1)])
    assert counts.requests == [ALLOWED]


def test_an_access_can_be_noted_without_waiting(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts
) -> None:
    """The lean lane records what passes as the other does, counters that break included."""
    recorder.note(access(1))
    assert (events.committed, events.queued) == ([], [access(1)])
    assert counts.requests == [ALLOWED]
    counts.broken = RuntimeError("counter")
    recorder.note(access(2))
    assert len(events.queued) == 2


async def test_a_flagged_access_that_cannot_be_kept_raises(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts
) -> None:
    """The gateway must learn of it, to answer "closed", and the numbers show the request."""
    events.broken = RuntimeError("no place left")
    with pytest.raises(RuntimeError, match="no place left"):
        await recorder.record(access(1, BLOCKED))
    assert counts.requests == [BLOCKED]


@pytest.mark.parametrize("decision", [ALLOWED, BLOCKED])
async def test_a_broken_counter_costs_no_record(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts, decision: object
) -> None:
    """A full metrics folder neither loses an event nor closes the internet."""
    counts.broken = OSError("no space left")
    one = access(1, decision)  # type: ignore[arg-type] # parametrize widens the type
    await recorder.record(one)
    assert events.committed + events.queued == [one]


async def test_a_review_request_is_kept_and_then_counted(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts
) -> None:
    """A pupil is told "received" only for what was received, whatever the counter does."""
    await recorder.review(review(1))
    assert (events.reviews, counts.reviews) == ([review(1)], 1)
    counts.broken = OSError("no space left")
    await recorder.review(review(2))
    assert events.reviews == [review(1), review(2)]


async def test_a_review_request_that_cannot_be_kept_raises(
    recorder: Recorder, events: MemoryEvents, counts: MemoryCounts
) -> None:
    """A pupil is not told that somebody will look when nobody can."""
    events.broken = RuntimeError("no place left")
    with pytest.raises(RuntimeError):
        await recorder.review(review(1))
    assert counts.reviews == 0


def test_what_counts_gets_no_person() -> None:
    """The metrics are handed a decision, which holds no name and no address, so none can leak (DP-1)."""
    assert not {"person", "client", "url", "host", "name"} & set(BLOCKED.__dataclass_fields__)
