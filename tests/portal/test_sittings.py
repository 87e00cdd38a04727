"""Sessions of the pages of cases."""

from __future__ import annotations

import pytest

from appliance.identity.sessions import Device
from appliance.portal.sittings import LONGEST, MOST, Sittings
from tests.doubles.people import LAPTOP, NOW, TABLET


@pytest.mark.parametrize(
    ("later", "device", "there"),
    [
        (0, LAPTOP, True),
        (599, LAPTOP, True),
        (600, LAPTOP, False),
        (-1, LAPTOP, False),  # a clock that was put back
        (1, TABLET, False),
        (1, Device("10.9.9.9", LAPTOP.mac), True),  # the same device, with another address
        (1, Device(LAPTOP.address, TABLET.mac), False),  # another device, with its address
        (1, Device(LAPTOP.address), True),  # behind a router, where no hardware address is seen
    ],
)
def test_a_session_is_of_one_device_and_ends(later: float, device: Device, there: bool) -> None:
    """S-11: a cookie that was copied, and a laptop that was left, open nothing."""
    sittings = Sittings(600.0)
    token = sittings.begin("m.lead", LAPTOP, NOW)
    assert (sittings.find(token, device, NOW + later) is not None) is there


def test_it_ends_after_a_day_however_busy_and_with_the_sign_out() -> None:
    """Nobody stays signed in over night."""
    sittings = Sittings(600.0)
    token = sittings.begin("m.lead", LAPTOP, NOW)
    moments = range(0, int(LONGEST), 500)
    assert all(sittings.find(token, LAPTOP, NOW + moment) for moment in moments)
    assert sittings.find(token, LAPTOP, NOW + LONGEST) is None
    again = sittings.begin("m.lead", LAPTOP, NOW)
    sittings.end(again)
    assert sittings.find(again, LAPTOP, NOW) is None


def test_tokens_are_kept_as_hashes_and_never_without_end() -> None:
    """Whoever signs in again and again fills no memory, and what is kept is no token."""
    sittings = Sittings(600.0)
    tokens = [sittings.begin(f"p{number}", LAPTOP, NOW) for number in range(MOST + 5)]
    assert len(sittings._open) == MOST
    assert not set(tokens) & set(sittings._open)
    assert sittings.find(tokens[0], LAPTOP, NOW) is None
    assert sittings.find(tokens[-1], LAPTOP, NOW) is not None
    assert sittings.find("\udcff", LAPTOP, NOW) is None
