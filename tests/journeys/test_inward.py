"""The gateway is no way to itself, to the school's own network, or to odd ports, however they are spelled."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.journeys.device import ask
from tests.journeys.lab import BOTH, TRANSPARENT, Lab, Via, drain
from tests.journeys.network import GATEWAY, GATEWAY6

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SPELLINGS = (
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "2130706433",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "0.0.0.0",  # noqa: S104 - what a pupil may try
    "0",
    "localhost",
    "LOCALHOST.",
    "127.0.0.1.",
    "１２７.0.0.1",
    GATEWAY,
    "0x0a4d0001",
    "169.254.169.254",
    f"[{GATEWAY6}]",
    "[fe80::1%25lan0]",
    "[fe80::1]",
    "224.0.0.1",
    "10.77.0.13",
    "203.0.113.1",
)
NAMES = ("loopback.education.example", "lan.education.example", "own.education.example")


@pytest.fixture(scope="module")
def knocks(lab: Lab) -> Iterator[list[str]]:
    """What was let in at a service on the gateway itself: an administrator's page on every address."""
    with lab.network.inside(lab.network.gateway):
        listener = socket.create_server(("", 8000), backlog=64)
        web = socket.create_server(("", 443), backlog=64)
    found: list[str] = []
    stopping = threading.Event()

    def serve(one: socket.socket) -> None:
        one.settimeout(0.1)
        while not stopping.is_set():
            try:
                connection, caller = one.accept()
            except TimeoutError:
                continue
            found.append(str(caller))
            connection.close()

    threads = [threading.Thread(target=serve, args=(one,)) for one in (listener, web)]
    for thread in threads:
        thread.start()
    yield found
    stopping.set()
    for thread in threads:
        thread.join()
    listener.close()
    web.close()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_an_inner_address_leads_inwards(lab: Lab, knocks: list[str], spelling: str) -> None:
    """A pupil who asks the gateway to call itself would be inside the staff's network (H27)."""
    for scheme, port in (("http", 80), ("https", 443)):
        # A tunnel may open, to show the page that says why; nothing stands behind it.
        answer = ask(lab, scheme, f"{spelling}:{port}", "/admin")
        assert answer.status in {400, 403}
    assert knocks == []


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_resolves_to_an_inner_address_leads_nowhere(
    lab: Lab, knocks: list[str], name: str, scheme: str, via: Via
) -> None:
    """Whoever owns a name can point it at 127.0.0.1 (DNS rebinding), so the gateway looks (H27)."""
    answer = ask(lab, scheme, name, "/", via=via)
    assert answer.status == 403
    row = lab.gateway.record_of(answer.reference)
    assert row["reason"] == "own_network"
    assert knocks == []


@pytest.mark.parametrize("port", [1, 22, 25, 110, 853, 3389, 8000, 9464])
def test_no_tunnel_leads_to_an_odd_port(lab: Lab, port: int) -> None:
    """SSH, mail, remote desktops and other proxies are not the web."""
    got = lab.raw(
        f"CONNECT education.example:{port} HTTP/1.1\r\nHost: education.example:{port}\r\n\r\n".encode()
    )
    assert got.split()[1] == b"403"
    assert ask(lab, "http", f"education.example:{port}", "/").status == 403


def test_the_port_for_redirected_traffic_takes_no_direct_calls(lab: Lab) -> None:
    """Whoever calls it directly would use the gateway as an open relay, or send it round in circles (H26)."""
    with pytest.raises(ConnectionRefusedError):
        lab.dial(via=Via.WIRE, to=GATEWAY, port=TRANSPARENT)
    before = lab.total("gateway_connections_total")
    with lab.network.inside(lab.network.gateway):  # past the firewall: the gateway itself must refuse as well
        wire = socket.create_connection((GATEWAY, TRANSPARENT), timeout=20)
    with wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: education.example\r\n\r\n")
        assert drain(wire) == b""
    assert lab.total("gateway_connections_total") == before


def test_the_gateways_own_page_is_reached_by_its_name(lab: Lab) -> None:
    """What refuses every inner address still tells a pupil of the filter, and gives out the CA."""
    got = lab.curl("http://filter.internal/")
    assert got.status == 200
    assert "Hill School" in got.body
    assert lab.curl("http://filter.internal/ca.pem").body == lab.gateway.ca.read_text(encoding="ascii")
