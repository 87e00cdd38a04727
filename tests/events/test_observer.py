"""Tests of the counters that stand in when nobody else is told."""

from __future__ import annotations

from appliance.events.observer import Counters, Observer


def test_the_counters_add_up() -> None:
    """A store without metrics still knows what it spilled and dropped."""
    counters = Counters()
    told: Observer = counters
    told.event_queue(7)
    told.event_queue(3)
    told.event_commit(0.25)
    told.event_commit(0.5)
    told.events_spilled(2)
    told.events_dropped(4)
    assert counters == Counters(queued=3, commits=2, commit_seconds=0.75, spilled=2, dropped=4)
