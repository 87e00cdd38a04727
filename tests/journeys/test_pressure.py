"""What somebody slow costs: a client that reads nothing, and long transfers, leave the memory as it was."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import pytest

from tests.journeys.lab import Lab, Via

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SITE = "www.education.example"
HEADERS = [(":method", "GET"), (":scheme", "https"), (":authority", SITE), (":path", "/big")]
ALLOWANCE = 12 << 10
"""KiB that both workers together may grow: buffers of sockets and of TLS, and what Python keeps for reuse."""


@contextlib.contextmanager
def http2(lab: Lab) -> Iterator[tuple[ssl.SSLSocket, h2.connection.H2Connection]]:
    """Open an HTTP/2 connection through the gateway, as a client of our own making."""
    with (
        lab.dial(via=Via.WIRE, port=443) as wire,
        lab.trusting("h2").wrap_socket(wire, server_hostname=SITE) as tunnel,
    ):
        assert tunnel.selected_alpn_protocol() == "h2"
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        tunnel.sendall(client.data_to_send())
        yield tunnel, client


def received(events: list[h2.events.Event]) -> int:
    """Return how many bytes of the first stream are among the events."""
    pieces = [one for one in events if isinstance(one, h2.events.DataReceived)]
    return sum(len(one.data) for one in pieces if one.stream_id == 1)


def test_a_client_that_reads_nothing_costs_next_to_nothing(lab: Lab) -> None:
    """Twenty downloads of 64 MB over one connection that gives no window do not fill the worker (F2)."""
    assert lab.curl(f"https://{SITE}/big", "-o", "/dev/null").status == 200
    before = lab.gateway.memory()
    with http2(lab) as (tunnel, client):
        for number in range(20):
            client.send_headers(1 + 2 * number, HEADERS, end_stream=True)
        tunnel.sendall(client.data_to_send())
        got, end = 0, time.monotonic() + 6
        tunnel.settimeout(1)
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                got += received(client.receive_data(tunnel.recv(65536)))
        assert lab.gateway.memory() - before < 20 * 256 + ALLOWANCE
        # And nothing was lost: with a window, the first of them comes whole.
        client.increment_flow_control_window(1 << 30)
        client.increment_flow_control_window(80 << 20, 1)
        tunnel.settimeout(10)
        while got < 64 << 20:
            tunnel.sendall(client.data_to_send())
            got += received(client.receive_data(tunnel.recv(65536)))
        assert got == 64 << 20


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_long_transfers_leave_the_memory_as_it_was(lab: Lab, version: str) -> None:
    """A film down and a film up cost what a page costs."""
    ways = [["-o", "/dev/null"], ["-X", "POST", "--data-binary", f"@{lab.origin.folder / 'big'}"]]
    urls = [f"https://{SITE}/big", f"https://{SITE}/up"]
    for url, way in zip(urls, ways, strict=True):
        assert lab.curl(url, version, *way).status == 200
    before = lab.gateway.memory()
    for _ in range(2):
        for url, way in zip(urls, ways, strict=True):
            assert lab.curl(url, version, *way).status == 200
    assert lab.gateway.memory() - before < 4 << 10
