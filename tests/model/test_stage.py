from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

from appliance.model.person import Person
from appliance.model.stage import Stage

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
END = NOW.timestamp() + 60
ROOM = ip_network("10.20.5.0/24")
STAGE = Stage("v", 1, "Room 5", frozenset({"ks1"}), frozenset({"class 5a"}), (ROOM,), END)
PUPIL = Person("ks2", "network")


def test_it_counts_for_whom_it_is_meant_and_nobody_else() -> None:
    """S-25: a profile, a class or a room, also where an address is written as IPv6 maps it; nothing else."""
    assert STAGE.covers(Person("ks1", "x"), "", NOW)
    assert STAGE.covers(Person("ks2", "x", name="Class 5A"), "", NOW)
    assert STAGE.covers(PUPIL, "10.20.5.9", NOW)
    assert STAGE.covers(PUPIL, "::ffff:10.20.5.9", NOW)
    for other in ("10.20.6.9", "", "no address", "::1"):
        assert not STAGE.covers(PUPIL, other, NOW)


def test_its_time_ends_by_itself() -> None:
    """A stage that nobody ends is over in every worker at its moment, whoever still runs."""
    late = datetime.fromtimestamp(NOW.timestamp() + 60, UTC)
    assert not STAGE.covers(PUPIL, "10.20.5.9", late)
    assert STAGE.touches(PUPIL, "10.20.5.9")
