from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.gateway.peers import destination_of, is_lost, peer_of


def test_a_device_has_one_address_in_the_record() -> None:
    """An IPv4 device is the same device at a port that takes both families; one that has gone is nobody."""
    mapped: Any = SimpleNamespace(peername=("::ffff:10.20.0.5", 5))
    gone: Any = SimpleNamespace(peername=None)
    assert (peer_of(mapped), peer_of(gone)) == ("10.20.0.5", "")


def test_who_was_not_redirected_has_no_destination() -> None:
    """Whoever connects to the redirect's port itself would be sent round in circles (H26)."""
    with socket.socket() as alone, pytest.raises(OSError, match="was not redirected"):
        destination_of(alone)


@pytest.mark.parametrize(("user", "lost"), [("", True), ("bob", False), ("amy", True)])
def test_on_a_held_device_only_what_was_opened_without_a_name_ends(user: str, lost: bool) -> None:
    """S-60: the frozen pupil's and the anonymous connections end, a classmate's on the same device do not."""
    assert is_lost("10.20.0.5", user, (), {"amy"}, {"10.20.0.5"}) is lost
    assert not is_lost("10.20.0.6", user, (), (), {"10.20.0.5"})
    assert is_lost("10.20.0.5", user, {"10.20.0.5"}, (), ())
