"""What is allowed arrives whole, whichever way a device's traffic takes and whatever it speaks."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.journeys.lab import BOTH, Lab, Via
from tests.journeys.origin import HELLO, HTTP1

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BODY = 50 << 20


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("via", Via)
def test_an_allowed_page_arrives(lab: Lab, via: Via, scheme: str) -> None:
    """A pupil reads an allowed page on every kind of device, over IPv4 and IPv6."""
    url = f"{scheme}://education.example/{via.name}"
    got = lab.curl(url, via=via)
    assert (got.code, got.status, got.version) == (0, 200, "2" if scheme == "https" else "1.1")
    assert HELLO in got.body
    row = lab.gateway.logged(lambda row: row["url"] == url, "the page")
    assert (row["action"], row["group"], row["status"]) == ("allow", "ks2", 200)
    assert row["bytes_received"] == len(got.body)


def test_a_site_that_has_ipv6_alone_is_reached_by_a_device_that_has_not(lab: Lab) -> None:
    """The proxy resolves and connects, so it does not matter which internet protocol a device speaks."""
    assert HELLO in lab.curl("https://six.education.example/").body


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    ("client", "host", "to", "towards"),
    [
        ("--http2", "education.example", "", "HTTP/2.0"),
        ("--http1.1", "education.example", "", "HTTP/1.1"),
        ("--http2", "h1.education.example", HTTP1, "HTTP/1.1"),
        ("--http1.1", "h1.education.example", HTTP1, "HTTP/1.1"),
    ],
)
def test_old_and_new_browsers_reach_old_and_new_sites(
    lab: Lab, client: str, host: str, to: str, towards: str, via: Via
) -> None:
    """Each pair of HTTP versions on the two sides works, and a new site is spoken to in its own version."""
    path = f"/versions-{client.strip('-')}-{host.partition('.')[0]}-{via.name}"
    got = lab.curl(f"https://{host}{path}", client, via=via, to=to)
    assert (got.code, got.status) == (0, 200)
    assert [one["protocol"] for one in lab.origin.saw(path)] == [towards]


def test_no_site_offers_a_way_past_the_gateway(lab: Lab) -> None:
    """A site that advertises HTTP/3 would lead browsers to where nothing is filtered (H18)."""
    got = lab.curl("https://education.example/alt")
    assert HELLO in got.body
    assert "alt-svc" not in got.headers


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("client", ["--http1.1", "--http2"])
def test_a_large_upload_to_an_allowed_site_arrives_whole(
    lab: Lab, tmp_path: Path, client: str, via: Via
) -> None:
    """Homework of any size is handed in, and the gateway's memory does not grow with it (H4, H8)."""
    body = os.urandom(1 << 20) * (BODY >> 20)
    (tmp_path / "film").write_bytes(body)
    before, known, most, done = lab.gateway.memory(), set(lab.origin.uploads()), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], lab.gateway.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        got = lab.curl("https://education.example/up", client, "-T", str(tmp_path / "film"), via=via)
    finally:
        done.set()
        watcher.join()
    assert (got.code, got.status, got.sent) == (0, 200, BODY)
    (arrived,) = set(lab.origin.uploads()) - known
    assert hashlib.sha256(arrived.read_bytes()).digest() == hashlib.sha256(body).digest()
    print(f"workers' own memory: {before} KiB before, {most[0]} KiB at most meanwhile")
    assert most[0] - before < 40 << 10
    arrived.unlink()


def socket_to(lab: Lab, uri: str, via: Via) -> ClientConnection:
    """Open a WebSocket from a device, as browsers do: through a tunnel where there is a proxy."""
    scheme, _, rest = uri.partition("://")
    host, port = rest.partition("/")[0], 443 if scheme == "wss" else 80
    wire = lab.dial(via=via, port=port)
    if via is Via.PROXY:
        wire.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert b" 200 " in wire.recv(4096)
    # Time enough for a busy machine: where none is left, the library waits for a thread of its own that
    # sits in a read, and so for ever.
    return connect(
        uri,
        sock=wire,
        ssl=lab.trusting() if scheme == "wss" else None,
        compression=None,
        proxy=None,
        open_timeout=90,
    )


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    "uri",
    ["ws://education.example/socket", "wss://education.example/socket", "wss://socket.education.example/"],
)
def test_messages_of_an_allowed_websocket_flow_both_ways(lab: Lab, uri: str, via: Via) -> None:
    """A live lesson works, with small messages and large ones."""
    with socket_to(lab, uri, via) as live:
        for message in ("good morning", b"\x00\xff" * 200_000, "bye"):
            live.send(message)
            assert live.recv(timeout=60) == message


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("uri", ["ws://gambling.example/socket", "wss://gambling.example/socket"])
def test_a_blocked_websocket_is_refused_before_the_site_hears_of_it(lab: Lab, uri: str, via: Via) -> None:
    """A blocked site is blocked by every way of talking to it."""
    with pytest.raises(InvalidStatus) as refused:
        socket_to(lab, uri, via)
    assert refused.value.response.status_code == 403
    assert lab.origin.packets_to_blocked() == 0
    row = lab.gateway.logged(lambda row: row["host"] == "gambling.example", "the attempt")
    assert (row["action"], row["category"]) == ("block", "gambling")
