"""One request, several names: whoever lies about where it goes is refused, or taken where the name says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from tests.journeys.device import Answer, ask
from tests.journeys.lab import BOTH, Lab, Via, drain
from tests.journeys.origin import ELSEWHERE, HELLO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

GOOD, BAD = "education.example", "gambling.example"
CARELESS = ssl.create_default_context()
CARELESS.check_hostname = False
CARELESS.verify_mode = ssl.CERT_NONE


def refused(lab: Lab, answer: Answer, *reasons: str) -> None:
    """Check that a page of ours came back, that the log says why, and that no blocked site was contacted."""
    assert answer.status in {400, 403, 421}
    assert HELLO.encode() not in answer.body
    row = lab.gateway.record_of(answer.reference)
    assert (row["action"], row["flagged"]) == ("block", True)
    assert row["reason"] in reasons
    assert lab.origin.packets_to_blocked() == 0


def tunnel(lab: Lab, target: str) -> socket.socket:
    """Open a tunnel through the proxy."""
    wire = lab.dial()
    wire.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    assert b" 200 " in wire.recv(4096)
    return wire


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    ("sni", "host"), [(GOOD, BAD), (BAD, GOOD), (GOOD, "news.example"), ("childline.org.uk", BAD)]
)
def test_encryption_for_one_site_does_not_carry_a_request_to_another(
    lab: Lab, sni: str, host: str, via: Via
) -> None:
    """Domain fronting: a harmless name outside, another inside (H25)."""
    with encrypted(lab, via, sni, sni) as inner:
        inner.sendall(f"GET /fronted HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        got = drain(inner)
    answer = Answer(int(got.split()[1]), got)
    refused(lab, answer, "mismatch", "unacceptable")
    assert lab.origin.saw("fronted") == []


@pytest.mark.parametrize(("target", "sni"), [(GOOD, BAD), (BAD, GOOD), ("childline.org.uk", BAD)])
def test_a_tunnel_to_one_site_is_no_way_to_another(lab: Lab, target: str, sni: str) -> None:
    """The name of the tunnel and the name in the encryption are both judged; one blocked name is enough."""
    with tunnel(lab, f"{target}:443") as wire, CARELESS.wrap_socket(wire, server_hostname=sni) as inner:
        inner.sendall(f"GET /tunnelled HTTP/1.1\r\nHost: {sni}\r\nConnection: close\r\n\r\n".encode())
        got = drain(inner)
    refused(lab, Answer(int(got.split()[1]), got), "unacceptable", "mismatch")
    assert lab.origin.saw("tunnelled") == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_forged_name_leads_to_where_the_name_really_is(lab: Lab, scheme: str) -> None:
    """A device that claims an allowed name for its own server's address gets the real site (H25)."""
    heard = len(lab.origin.heard)
    got = lab.curl(f"{scheme}://{GOOD}/forged-{scheme}", via=Via.WIRE, to=ELSEWHERE)
    assert HELLO in got.body
    assert len(lab.origin.saw(f"forged-{scheme}")) == 1
    assert len(lab.origin.heard) == heard, "the forger's server was contacted"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_blocked_name_at_an_allowed_address_stays_blocked(lab: Lab, scheme: str) -> None:
    """Where a device believes a blocked site to be does not matter."""
    refused(lab, ask(lab, scheme, BAD, "/", via=Via.WIRE), "unacceptable")


@pytest.mark.parametrize("via", BOTH)
def test_encryption_without_a_name_is_judged_by_what_there_is(lab: Lab, via: Via) -> None:
    """Most programs that get round filters name no site; a number alone is not let through."""
    with encrypted(lab, via, "203.0.113.10", None) as inner:
        inner.sendall(b"GET /nameless HTTP/1.1\r\nHost: 203.0.113.10\r\nConnection: close\r\n\r\n")
        got = drain(inner)
    refused(lab, Answer(int(got.split()[1]), got), "unacceptable", "malformed")
    assert lab.origin.saw("nameless") == []


@contextlib.contextmanager
def encrypted(lab: Lab, via: Via, target: str, sni: str | None) -> Iterator[ssl.SSLSocket]:
    """Open an encrypted connection that names one site, by way of another."""
    with tunnel(lab, f"{target}:443") if via is Via.PROXY else lab.dial(via=via, port=443) as wire:  # noqa: SIM117 - one way, then what is in it
        with CARELESS.wrap_socket(wire, server_hostname=sni) as inner:
            yield inner


def hello(name: str) -> bytes:
    """Return a ClientHello for a site, as OpenSSL would send it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = CARELESS.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    "name", [b"educati\x00on.example", b"education example", b"\xff\xfe\xfd.example.foo1"]
)
def test_a_name_that_is_no_name_goes_nowhere(lab: Lab, name: bytes, via: Via) -> None:
    """Two programs may read a name with NUL or garbage in it differently, so nobody gets to read it."""
    plain = "x" * len(name)
    data = hello(plain)
    assert data.count(plain.encode()) == 1
    with tunnel(lab, f"{GOOD}:443") if via is Via.PROXY else lab.dial(via=via, port=443) as wire:
        before = len(lab.origin.seen)
        wire.sendall(data.replace(plain.encode(), name))
        got = drain(wire, first=3)
    assert HELLO.encode() not in got
    assert len(lab.origin.seen) == before
    assert ask(lab, "https", GOOD, "/still-there", via=via).status == 200


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(("name", "status"), [(GOOD, 200), (BAD, 403)])
def test_a_name_in_small_pieces_is_still_read(lab: Lab, name: str, status: int, via: Via) -> None:
    """Splitting the first message is a way round filters that look at single packets."""
    with tunnel(lab, f"{name}:443") if via is Via.PROXY else lab.dial(via=via, port=443) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = CARELESS.wrap_bio(incoming, outgoing, server_hostname=name)

        def patiently[T](step: Callable[[], T]) -> T:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    _send_in_pieces(wire, outgoing.read())
                    incoming.write(wire.recv(65536))

        patiently(client.do_handshake)
        client.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        assert patiently(lambda: client.read(65536)).split()[1] == str(status).encode()
    assert lab.origin.packets_to_blocked() == 0


def _send_in_pieces(wire: socket.socket, data: bytes) -> None:
    for start in range(0, len(data), 40):
        wire.sendall(data[start : start + 40])
        time.sleep(0.002)
