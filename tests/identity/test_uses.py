from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.snapshot import read
from appliance.identity.uses import GAP, Used, Uses
from tests.doubles.people import LAPTOP, NOW, TABLET, School, school


def used(last: float = NOW, device: str = TABLET.mac, way: str = "portal") -> Used:
    return Used("amy", device, "10.20.0.14", way, last, last)


def held(made: School, now: float, hold: float = 3600.0) -> set[str]:
    return {each.device for each in read(made.database, now, hold).held}


def test_a_use_goes_on_until_a_pause(tmp_path: Path) -> None:
    """S-11: a device that was put away and taken out again was not in use all day."""
    made = school(tmp_path)
    uses = Uses(made.database)
    for moment in (NOW, NOW + 20, NOW + 20 + GAP):
        uses.note([used(moment)])
    assert [(each.first, each.last) for each in uses.since(NOW)] == [(NOW, NOW + 20 + GAP)]
    uses.note([used(NOW + 9_000)])
    assert [each.first for each in uses.since(NOW)] == [NOW + 9_000]
    uses.forget(NOW + 9_001)
    assert uses.since(0) == []


def test_a_late_word_of_another_worker_takes_nothing_back(tmp_path: Path) -> None:
    """Workers write in any order: the last use stays the last."""
    made = school(tmp_path)
    uses = Uses(made.database)
    uses.note([used(NOW + 20)])
    uses.note([used(NOW)])
    assert uses.since(NOW + 20)[0].last == NOW + 20


def test_only_what_was_in_hands_at_the_stop_is_held(tmp_path: Path) -> None:
    """S-60: the computer of the lesson before is not closed for others, the tablet in use is."""
    made = school(tmp_path)
    uses = Uses(made.database)
    uses.note([used(NOW - 1_000, LAPTOP.mac), used(NOW - 30), used(NOW - 5_000, "02:00:00:00:00:01")])
    made.stops.freeze("amy", "x", by="head", now=NOW)
    assert held(made, NOW) == {TABLET.mac}
    assert held(made, NOW + 3_599) == {TABLET.mac}
    assert held(made, NOW + 3_600) == set()
    uses.note([used(NOW + 3_000)])
    assert held(made, NOW + 6_000) == {TABLET.mac}, "it is still in use"


def test_who_is_stopped_cannot_close_one_device_after_the_other(tmp_path: Path) -> None:
    """A frozen pupil who shows their name on every computer of the room closes none of them."""
    made = school(tmp_path)
    uses = Uses(made.database)
    uses.note([used(NOW - 30)])
    made.stops.freeze("amy", "x", by="head", now=NOW)
    stopped = {"amy": frozenset({TABLET.mac})}
    uses.note([used(NOW + 60, LAPTOP.mac), used(NOW + 60)], stopped=stopped)
    assert held(made, NOW + 60) == {TABLET.mac}


@pytest.mark.slow
def test_two_stops_hold_each_their_own(tmp_path: Path) -> None:
    """Two frozen pupils hold two devices; a hold of no length holds none."""
    made = school(tmp_path)
    Uses(made.database).note([used(NOW - 1), Used("bob", LAPTOP.mac, "10.20.0.15", "portal", NOW, NOW)])
    for name in ("amy", "bob"):
        made.stops.freeze(name, "x", by="head", now=NOW)
    assert held(made, NOW) == {TABLET.mac, LAPTOP.mac}
    assert held(made, NOW, 0.0) == set()


def test_a_router_is_not_held_for_one_of_those_behind_it(tmp_path: Path) -> None:
    """NAT: many devices behind one address are not all stopped with the one pupil who is frozen."""
    made = school(tmp_path)
    uses = Uses(made.database)
    bob = Used("bob", TABLET.mac, "10.20.0.14", "proxy credentials", NOW - 500, NOW - 40)
    uses.note([Used("amy", TABLET.mac, "10.20.0.14", "proxy credentials", NOW - 300, NOW - 10), bob])
    made.stops.freeze("amy", "x", by="head", now=NOW)
    assert held(made, NOW) == set()


def test_the_pupil_before_at_a_shared_computer_frees_nobody(tmp_path: Path) -> None:
    """S-60: one after the other is one device, and a friend who comes afterwards makes no router of it."""
    made = school(tmp_path)
    uses = Uses(made.database)
    uses.note([Used("bob", TABLET.mac, "10.20.0.14", "portal", NOW - 3_000, NOW - 290)])
    uses.note([Used("amy", TABLET.mac, "10.20.0.14", "portal", NOW - 300, NOW - 10)])
    made.stops.freeze("amy", "x", by="head", now=NOW)
    uses.note([Used("cat", TABLET.mac, "10.20.0.14", "portal", NOW + 5, NOW + 900), used(NOW + 900)])
    assert held(made, NOW + 900) == {TABLET.mac}
