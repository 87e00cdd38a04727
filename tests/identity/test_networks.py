"""Client networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.networks import ClientNetwork, Networks, ProxySignIn
from appliance.model.person import Confidence, Standing


def networks(*pairs: tuple[str, str]) -> Networks:
    """Return a resolver whose unknown clients count as eyfs."""
    known = [ClientNetwork(ipaddress.ip_network(net), group, f"net {group}") for net, group in pairs]
    return Networks(known, "eyfs")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.1.2.3", "staff"),
        ("10.9.2.3", "ks2"),
        ("::ffff:10.1.2.3", "staff"),
        ("fd00:1::5", "ks1"),
        ("fd00:1::5%eth0", "ks1"),
        ("192.0.2.1", "eyfs"),
        ("", "eyfs"),
        ("not an address", "eyfs"),
    ],
)
def test_the_narrowest_network_decides(address: str, group: str) -> None:
    """A staff room within the school's network is staff; nobody known is the youngest (S-01, P14)."""
    known = networks(("10.0.0.0/8", "ks2"), ("10.1.0.0/16", "staff"), ("fd00::/8", "ks1"))
    assert known.resolve(address).group == group


def test_a_network_is_no_child() -> None:
    """The record says "network ...", never a guessed name, and how sure we are (S-06)."""
    known = networks(("10.0.0.0/8", "ks2"))
    inside, outside = known.resolve("10.0.0.1"), known.resolve("192.0.2.1")
    assert (inside.name, inside.confidence, inside.source) == ("", Confidence.GROUP, "network net ks2")
    assert outside.confidence is Confidence.UNKNOWN


@pytest.mark.slow
@given(st.ip_addresses())
def test_every_address_is_somebody(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """No address falls through to no profile at all."""
    assert networks(("10.0.0.0/8", "ks2")).resolve(str(address)).group in {"ks2", "eyfs"}


@pytest.mark.slow
def test_memory_stays_bounded() -> None:
    """A flood of forged addresses does not grow the cache without end."""
    known = networks()
    for number in range(9000):
        known.resolve(str(ipaddress.ip_address(number)))
    assert len(known._cache) <= 8192


def test_where_one_must_sign_in_the_network_alone_opens_nothing() -> None:
    """S-07: on such a network whoever has not signed in is signed out, not an anonymous pupil."""
    network = ClientNetwork(ipaddress.ip_network("10.20.0.0/16"), "ks2", "Classrooms", sign_in=True)
    assert Networks([network], "ks1").resolve("10.20.0.5").standing is Standing.SIGNED_OUT


@pytest.mark.parametrize(
    ("rule", "standing"),
    [("never", Standing.OPEN), ("offered", Standing.OPEN), ("required", Standing.SIGNED_OUT)],
)
def test_a_network_that_requires_a_name_is_closed_to_whoever_gives_none(
    rule: str, standing: Standing
) -> None:
    """What must be given to the proxy cannot be got round by not using the proxy."""
    room = ipaddress.ip_network("10.20.0.0/16")
    known = Networks([ClientNetwork(room, "ks2", "Classrooms", proxy=ProxySignIn(rule))], "ks1")
    assert known.proxy_sign_in("10.20.0.5") is ProxySignIn(rule)
    assert known.resolve("10.20.0.5").standing is standing
    assert known.proxy_sign_in("192.0.2.1") is ProxySignIn.NEVER
