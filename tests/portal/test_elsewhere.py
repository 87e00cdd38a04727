from __future__ import annotations

import pytest

from appliance.portal.elsewhere import SECONDS, Elsewhere
from tests.doubles.people import LAPTOP, NOW, TABLET


def test_who_comes_back_is_who_was_sent() -> None:
    """Login CSRF: another browser, another device or a second time is nobody who was sent."""
    made = Elsewhere()
    waiting, cookie = made.begin(TABLET.address, NOW)
    for state, brought, address in (
        ("other", cookie, TABLET.address),
        (waiting.state, "other", TABLET.address),
        (waiting.state, "", TABLET.address),
        (waiting.state, cookie, LAPTOP.address),
    ):
        assert made.back(state, brought, address, NOW) is None
    assert made.back(waiting.state, cookie, TABLET.address, NOW) == waiting
    assert made.back(waiting.state, cookie, TABLET.address, NOW) is None


@pytest.mark.slow
def test_nobody_is_under_way_for_ever() -> None:
    """After ten minutes one begins anew, and a flood of beginnings fills no memory."""
    made = Elsewhere()
    waiting, cookie = made.begin(TABLET.address, NOW)
    assert made.back(waiting.state, cookie, TABLET.address, NOW + SECONDS) is None
    for _ in range(2_100):
        made.begin(TABLET.address, NOW)
    assert len(made._sent) == 2_000
