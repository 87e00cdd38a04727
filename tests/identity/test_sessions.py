from __future__ import annotations

from datetime import datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.names import IdentityError
from appliance.identity.sessions import SCHOOL_ZONE, Device, end_of_day
from appliance.model.person import Kind
from tests.doubles.people import LAPTOP, NOW, TABLET, school


@pytest.mark.slow
def test_a_cookie_counts_on_its_own_device_alone(tmp_path: Path) -> None:
    """Cookie theft: copied to another device it is nothing; a new address of the same one is fine."""
    made = school(tmp_path)
    token = made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    found = made.sessions.find(token, TABLET, NOW)
    assert found is not None
    assert found.key == "amy"
    assert made.sessions.find(token, Device("10.20.0.77", TABLET.mac), NOW) is not None
    assert made.sessions.find(token, LAPTOP, NOW) is None
    assert made.sessions.find(token, Device(TABLET.address, LAPTOP.mac), NOW) is None
    assert made.sessions.find("forged", TABLET, NOW) is None
    assert made.sessions.find(token, TABLET, NOW + 99) is None
    assert token not in made.database.path.read_bytes().decode("latin-1")


@pytest.mark.slow
def test_a_device_belongs_to_whoever_signed_in_last(tmp_path: Path) -> None:
    """S-12: the next child at the tablet is not the one before."""
    made = school(tmp_path)
    first = made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    made.sessions.begin(made.add("bob"), TABLET, NOW, NOW + 99)
    assert made.sessions.find(first, TABLET, NOW) is None
    assert [each.key for each in made.sessions.open(NOW)] == ["bob"]
    on = made.sessions.on(Device("fd00::1", TABLET.mac), NOW)
    assert on is not None
    assert on.key == "bob"
    assert made.sessions.end_on(TABLET)
    assert not made.sessions.end_on(TABLET)


@pytest.mark.slow
def test_a_session_ends_when_nobody_uses_it(tmp_path: Path) -> None:
    """S-12: idle sessions end, used ones go on to their end and no further."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 500)
    made.sessions.begin(made.add("bob"), LAPTOP, NOW, NOW + 500)
    made.sessions.used([TABLET.address], NOW + 90)
    assert [each.key for each in made.sessions.end_idle(NOW + 100, 100)] == ["bob"]
    assert [each.key for each in made.sessions.end_idle(NOW + 500, 1000)] == ["amy"]
    assert made.sessions.end_idle(NOW + 600, 100) == []


@pytest.mark.slow
def test_a_voucher_is_good_for_its_devices_and_its_time(tmp_path: Path) -> None:
    """S-08: a guest's session ends with the voucher, and a voucher is not passed round."""
    made = school(tmp_path)
    guest = made.add("visitor", Kind.GUEST, "guest", devices=1, expires=NOW + 50)
    made.sessions.begin(guest, TABLET, NOW, NOW + 500)
    assert made.sessions.open(NOW)[0].ends == NOW + 50
    with pytest.raises(IdentityError, match="as many devices"):
        made.sessions.begin(guest, LAPTOP, NOW, NOW + 500)
    made.sessions.begin(guest, TABLET, NOW + 1, NOW + 500)


@pytest.mark.slow
@given(st.floats(1_760_000_000, 1_830_000_000), st.times())
def test_the_school_day_always_ends(now: float, close: time) -> None:
    """S-12: whenever somebody signs in, the session ends within the day, clock changes and all."""
    ends = end_of_day(now, close)
    assert now < ends <= now + 26 * 3600
    assert datetime.fromtimestamp(end_of_day(NOW, time(18)), SCHOOL_ZONE).hour == 18
