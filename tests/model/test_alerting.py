"""Which theme a sighting belongs to."""

from __future__ import annotations

from appliance.model.alerting import Sighting
from tests.doubles.alerts import BYPASS, HARM, rules


def test_a_category_says_more_than_a_reason() -> None:
    """A self-harm site that was asked for in an odd way is self-harm, and not a trick."""
    assert rules().theme_of("self_harm", "mismatch") == HARM
    assert rules().theme_of("", "mismatch") == BYPASS
    assert rules().theme_of("news", "unacceptable") is None


def test_a_sighting_has_no_room_for_what_may_not_leave() -> None:
    """What alerts never get, no template of theirs can show (W:422-424)."""
    fields = set(Sighting.__slots__)
    assert not fields & {"url", "host", "search_term", "client", "device", "name", "message"}
