"""The firewall of a transparent gateway, loaded in a network of its own: real packets show what it does."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.network import (
    CLIENT,
    GATEWAY,
    GATEWAY6,
    ORIGIN,
    ORIGIN6,
    OUTSIDE,
    Network,
    laid_network,
    run,
)

RULES = Path(__file__).resolve().parents[2] / "deploy" / "nftables" / "gateway.nft"
TRANSPARENT, EXPLICIT = 8443, 8080
SO_ORIGINAL_DST = 80

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cabled() -> Iterator[Network]:
    """Three joined namespaces, for all the tests here."""
    with laid_network("fw") as network:
        yield network


@pytest.fixture
def bare(cabled: Network) -> Iterator[Network]:
    """Three joined namespaces without any rule or socket."""
    run(f"ip netns exec {cabled.gateway} nft flush ruleset")
    with cabled.opened:
        yield cabled


@pytest.fixture
def network(bare: Network) -> Network:
    """Three joined namespaces with the rules loaded."""
    bare.load(RULES)
    return bare


def test_the_file_is_what_nft_accepts_and_can_be_loaded_again(network: Network) -> None:
    """A technician who changes a variable and loads the file again has the rules once."""
    run(f"ip netns exec {network.gateway} nft -c -f {RULES}")
    network.load(RULES)
    listed = run(f"ip netns exec {network.gateway} nft list ruleset")
    assert listed.count("chain to_filter {") == 1


@pytest.mark.parametrize("port", [80, 443])
def test_the_web_goes_to_the_filter_which_learns_where_it_was_meant_to_go(
    network: Network, port: int
) -> None:
    """A pupil's browser that knows of no proxy is filtered all the same."""
    network.listen(network.internet, port)
    listener = network.open(network.gateway, socket.SOCK_STREAM)
    listener.bind(("0.0.0.0", TRANSPARENT))  # noqa: S104 - a namespace of its own
    listener.listen()
    network.call(network.client, ORIGIN, port)
    accepted = network.opened.enter_context(listener.accept()[0])
    _, meant_port, meant_host = struct.unpack(
        "!HH4s8x", accepted.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    )
    assert (socket.inet_ntoa(meant_host), meant_port) == (ORIGIN, port)


def test_ipv6_is_no_way_round(network: Network) -> None:
    """The same holds for the other internet protocol, which school networks often have without knowing."""
    network.listen(network.internet, 443)
    listener = network.listen(network.gateway, TRANSPARENT)
    network.call(network.client, ORIGIN6, 443)
    network.opened.enter_context(listener.accept()[0])
    assert network.refused(network.client, ORIGIN6, 8444)


def test_without_the_filter_nothing_passes(network: Network) -> None:
    """When the filter is down the web is refused, never forwarded."""
    origin = network.listen(network.internet, 443)
    assert network.refused(network.client, ORIGIN, 443)
    with pytest.raises(TimeoutError):
        origin.accept()


def test_http3_is_refused_at_once(network: Network) -> None:
    """A browser that tries QUIC falls back within a moment instead of waiting, or passing (H18)."""
    network.listen(network.internet, 443, socket.SOCK_DGRAM)
    assert network.refused(network.client, ORIGIN, 443, socket.SOCK_DGRAM)
    assert network.refused(network.client, ORIGIN6, 443, socket.SOCK_DGRAM)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("port", [22, 853, 1194, 8080, 51820])
def test_no_other_port_leads_out(network: Network, port: int, kind: socket.SocketKind) -> None:
    """Encrypted names, VPNs, SSH and proxies on odd ports are told no."""
    network.listen(network.internet, port, kind)
    assert network.refused(network.client, ORIGIN, port, kind)


def test_names_are_resolved_here_whoever_is_asked(network: Network) -> None:
    """A device set to a resolver elsewhere gets the school's answers."""
    resolver = network.listen(network.gateway, 53, socket.SOCK_DGRAM)
    network.call(network.client, ORIGIN, 53, socket.SOCK_DGRAM)
    assert resolver.recv(9) == b"?"


def test_the_filters_own_port_takes_only_what_was_redirected(network: Network) -> None:
    """Nobody may use the gateway as an open relay by calling its port directly (H26)."""
    network.listen(network.gateway, TRANSPARENT)
    for address in (GATEWAY, GATEWAY6):
        assert network.refused(network.client, address, TRANSPARENT)
    assert network.refused(network.internet, OUTSIDE, TRANSPARENT)


def test_traffic_for_the_gateway_itself_is_not_redirected(network: Network) -> None:
    """The filter must never be asked to call itself, round and round (H26)."""
    network.listen(network.gateway, TRANSPARENT)
    assert network.refused(network.client, GATEWAY, 80)


def test_a_browser_set_to_the_proxy_reaches_it_from_the_school_alone(network: Network) -> None:
    """The explicit proxy is the school's, not the internet's."""
    listener = network.listen(network.gateway, EXPLICIT)
    network.call(network.client, GATEWAY, EXPLICIT)
    network.opened.enter_context(listener.accept()[0])
    with pytest.raises(TimeoutError):
        network.call(network.internet, OUTSIDE, EXPLICIT)


def test_the_internet_reaches_nothing_in_the_school(network: Network) -> None:
    """A device in a classroom is not a server."""
    network.listen(network.client, 445)
    with pytest.raises(TimeoutError):
        network.call(network.internet, CLIENT, 445)


def test_only_staff_reach_the_shell_and_the_metrics(network: Network) -> None:
    """A pupil's device cannot even try a password."""
    for port in (22, 9464):
        network.listen(network.gateway, port)
        assert network.refused(network.client, GATEWAY, port)


def test_an_exception_opens_one_port_of_one_address(network: Network) -> None:
    """What a school needs unfiltered can be opened without opening more."""
    exception = f"exceptions4 {{ {ORIGIN} . tcp . 993 }}"
    run(f"ip netns exec {network.gateway} nft add element inet gateway {exception}")
    listener = network.listen(network.internet, 993)
    network.listen(network.internet, 994)
    network.call(network.client, ORIGIN, 993)
    network.opened.enter_context(listener.accept()[0])
    assert network.refused(network.client, ORIGIN, 994)


def test_a_connection_from_before_the_rules_does_not_outlive_them(bare: Network) -> None:
    """A tunnel that was open when the gateway came must end with its coming."""
    listener = bare.listen(bare.internet, 22)
    caller = bare.call(bare.client, ORIGIN, 22)
    origin = bare.opened.enter_context(listener.accept()[0])
    origin.settimeout(0.5)
    caller.send(b"before")
    assert origin.recv(9) == b"before"
    bare.load(RULES)
    with contextlib.suppress(OSError):
        caller.send(b"after")
    with pytest.raises(TimeoutError):
        origin.recv(9)
