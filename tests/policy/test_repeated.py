"""Counting floor hits by client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from appliance.policy.repeated import MOST_CLIENTS, Alone, Limit, Repeated

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMIT = Limit(hits=3, window_seconds=60, pause_seconds=120)


def test_three_in_a_minute_lead_to_a_pause() -> None:
    """Guess after guess ends in a pause, for this client alone, and the pause ends."""
    counted = Repeated(LIMIT)
    for number in range(3):
        assert not counted.paused("a", NOW + number * SECOND)
        counted.hit("a", number, NOW + number * SECOND)
    assert counted.paused("a", NOW + 2 * SECOND)
    assert counted.paused("a", NOW + 121 * SECOND)
    assert not counted.paused("a", NOW + 122 * SECOND)
    assert not counted.paused("b", NOW + 2 * SECOND)


def test_slow_and_repeated_hits_do_not_add_up() -> None:
    """An accident a week, and a browser that asks for one page in several steps, are no guessing."""
    counted = Repeated(LIMIT)
    for number in range(10):
        counted.hit("a", number, NOW + number * 61 * SECOND)
        counted.hit("b", "the same", NOW + number * SECOND)
    assert not counted.paused("a", NOW + 549 * SECOND)
    assert not counted.paused("b", NOW + 9 * SECOND)


@pytest.mark.slow
def test_zero_never_pauses_and_memory_is_bounded() -> None:
    """A school may leave it out; a flood of clients does not fill the worker."""
    never, counted = Repeated(Limit(hits=0)), Repeated(Limit(hits=1))
    for number in range(MOST_CLIENTS + 10):
        counted.hit(str(number), "x", NOW)
        never.hit("a", number, NOW)
    assert not never.paused("a", NOW)
    assert not counted.paused("9", NOW)
    assert counted.paused(str(MOST_CLIENTS + 9), NOW)


def test_a_clock_set_back_ends_the_pause() -> None:
    """Nobody waits for years because the clock was wrong."""
    counted = Repeated(Limit(hits=1))
    counted.hit("a", 1, NOW)
    assert not counted.paused("a", NOW - timedelta(days=365))


def test_a_process_alone_tells_itself() -> None:
    """With one worker every hit is heard of once."""
    alone = Alone()
    assert not list(alone.news())
    alone.tell("a", "x", NOW)
    assert list(alone.news()) == [("a", "x", NOW)]
    assert not list(alone.news())
