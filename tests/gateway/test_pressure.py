from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from mitmproxy.connection import Server
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http

from appliance.gateway import pressure
from appliance.gateway.layers import GatewayHttpLayer
from appliance.gateway.pressure import (
    ENOUGH,
    GROWN_STREAMS,
    GROWN_WINDOW,
    WINDOW,
    BoundedH2,
    GatewayHttp2Client,
    held,
    taken,
    waiting_for_client,
)
from tests.gateway.playbook import HOOKS, Play, client_context

GET = [(":method", "GET"), (":scheme", "http"), (":authority", "site.example"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]


def connected(client_side: bool = True) -> h2.connection.H2Connection:
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client_side))
    made.initiate_connection()
    return made


def pair() -> tuple[BoundedH2, h2.connection.H2Connection]:
    ours = BoundedH2(h2.config.H2Configuration(client_side=False, header_encoding=False))
    theirs = connected()
    ours.initiate_connection()  # type: ignore[no-untyped-call]  # mitmproxy's has no types
    ours.receive_data(theirs.data_to_send())
    theirs.receive_data(ours.data_to_send())
    return ours, theirs


def send(ours: BoundedH2, theirs: h2.connection.H2Connection, stream: int, size: int) -> None:
    for _ in range(size // 16384):
        theirs.send_data(stream, bytes(16384))
    for event in ours.receive_data(theirs.data_to_send()):
        if isinstance(event, h2.events.DataReceived):
            ours.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    theirs.receive_data(ours.data_to_send())


def test_a_stream_whose_bytes_are_taken_gets_a_large_window() -> None:
    """An upload over a good line is not slowed down by the bound."""
    ours, theirs = pair()
    theirs.send_headers(1, POST)
    assert theirs.local_flow_control_window(1) == WINDOW
    send(ours, theirs, 1, WINDOW)
    assert theirs.local_flow_control_window(1) > GROWN_WINDOW - WINDOW


def test_a_stream_whose_bytes_are_not_taken_comes_to_a_halt_and_goes_on() -> None:
    """A sender may not fill the worker, and nothing is lost when the other side takes its bytes again."""
    ours, theirs = pair()
    full = True
    ours.full = lambda _stream: full
    theirs.send_headers(1, POST)
    send(ours, theirs, 1, WINDOW)
    assert theirs.local_flow_control_window(1) == 0
    assert theirs.outbound_flow_control_window > 1 << 30, "other streams go on meanwhile"
    ours.settle()
    assert ours.owed == {1: WINDOW}
    full = False
    ours.settle()
    theirs.receive_data(ours.data_to_send())
    assert ours.owed == {}
    assert theirs.local_flow_control_window(1) == WINDOW


def test_only_some_streams_grow() -> None:
    """A hundred streams at once cost what a hundred small windows cost."""
    ours, theirs = pair()
    for number in range(20):
        theirs.send_headers(1 + 2 * number, POST)
        send(ours, theirs, 1 + 2 * number, 16384)
    windows = [theirs.local_flow_control_window(1 + 2 * number) for number in range(20)]
    assert sum(window > WINDOW for window in windows) == GROWN_STREAMS


class Sites(Play):
    """Connections to sites speak HTTP/2, or never come about."""

    pending: bool = False
    alpn: bytes | None = None

    def _open(self, command: Any) -> list[events.Event]:
        if self.pending:
            return []
        answered = super()._open(command)
        command.connection.alpn = self.alpn
        return answered


@pytest.fixture
def play() -> Any:
    """Start a play whose client speaks HTTP/2."""
    with client_context(b"h2", ("203.0.113.9", 80)) as context:

        def start(*, pending: bool = False, alpn: bytes | None = None) -> tuple[Sites, Context]:
            layer = GatewayHttpLayer(context, http.HTTPMode.transparent)
            Sites.pending, Sites.alpn = pending, alpn
            return Sites(layer, context, dict(HOOKS)), context

        yield start


type Begin = Callable[..., tuple[Sites, Context]]


def asked(game: Sites, client: h2.connection.H2Connection, headers: Any = None) -> None:
    client.send_headers(1, headers or GET, end_stream=headers is None)
    game.receive(client.data_to_send())


@pytest.mark.slow
def test_a_client_that_gives_no_window_stops_its_site(play: Begin) -> None:
    """One browser tab that reads nothing costs kilobytes, not the site's whole answer (F2)."""
    game, context = play()
    client = connected()
    asked(game, client)
    (site,) = game.opened
    game.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", site)
    assert taken(context, site)
    while taken(context, site):
        game.receive(bytes(65536), site)
    layer = game.layer
    assert isinstance(layer, GatewayHttpLayer)
    assert ENOUGH < waiting_for_client(layer, 1) <= ENOUGH + 65536
    client.receive_data(game.answer)
    client.increment_flow_control_window(1 << 20)
    client.increment_flow_control_window(1 << 20, 1)
    game.receive(client.data_to_send())
    assert taken(context, site)


def test_a_worker_that_leaves_says_goodbye_once_and_still_answers(play: Begin) -> None:
    """A browser opens its next streams elsewhere; what it asked for is answered (RFC 9113 6.8)."""
    game, context = play()
    client = connected()
    asked(game, client)
    assert b"\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff" not in game.answer
    options: Any = SimpleNamespace(
        **{name: getattr(context.options, name) for name in sorted(context.options.keys())}, leaving=True
    )
    for layer in game.layer.context.layers:
        layer.context.options = options
    layer = game.layer
    assert isinstance(layer, GatewayHttpLayer)
    layer.connections[context.client].context.options = options
    (site,) = game.opened
    game.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", site)
    client.ping(b"12345678")
    game.receive(client.data_to_send())
    assert game.answer.count(b"\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff") == 1
    assert b"hi" in game.answer


@pytest.mark.slow
def test_an_upload_that_waits_for_its_site_is_counted(play: Begin) -> None:
    """A film that is sent while the site does not answer waits in the sender, not in the worker."""
    game, context = play(pending=True)
    client = connected()
    asked(game, client, POST)
    client.receive_data(game.answer)
    game.sent.clear()
    sent = 0
    while client.local_flow_control_window(1) >= 16384 and sent < 10 * GROWN_WINDOW:
        client.send_data(1, bytes(16384))
        game.receive(client.data_to_send())
        client.receive_data(game.answer)
        game.sent.clear()
        sent += 16384
    assert held(context) == sent
    assert sent <= GROWN_WINDOW + 2 * ENOUGH


def answers(game: Sites, site: Server, server: h2.connection.H2Connection) -> list[Any]:
    data, game.sent[site] = game.sent[site], b""
    return server.receive_data(data)


@pytest.mark.slow
def test_a_site_that_takes_nothing_stops_its_client(play: Begin) -> None:
    """An upload goes no faster than the site takes it, over HTTP/2 on both sides, and arrives whole."""
    game, _ = play(alpn=b"h2")
    client, server = connected(), connected(client_side=False)
    asked(game, client, POST)
    (site,) = game.opened
    server.receive_data(game.sent[site])
    game.sent[site] = b""
    client.receive_data(game.answer)
    game.sent.clear()
    sent = 0
    while client.local_flow_control_window(1) >= 16384 and sent < 10 * GROWN_WINDOW:
        client.send_data(1, bytes(16384))
        sent += 16384
        game.receive(client.data_to_send())
        client.receive_data(game.answer)
        game.sent[game.client] = b""
    assert sent < 2 * GROWN_WINDOW
    got = 0
    for _ in range(200):
        for event in answers(game, site, server):
            if isinstance(event, h2.events.DataReceived):
                got += len(event.data)
                server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if data := server.data_to_send():
            game.receive(data, site)
    assert got == sent
    game.wake()
    client.receive_data(game.answer)
    assert client.local_flow_control_window(1) >= WINDOW


@pytest.mark.slow
def test_a_client_that_gives_no_window_stops_a_site_that_speaks_http2(play: Begin) -> None:
    """The site's other streams go on: a paused film does not stop the page around it."""
    game, _ = play(alpn=b"h2")
    client, server = connected(), connected(client_side=False)
    asked(game, client)
    (site,) = game.opened
    server.receive_data(game.sent[site])
    server.send_headers(1, [(":status", "200")])
    game.receive(server.data_to_send(), site)
    sent = 0
    for _ in range(100):
        answers(game, site, server)
        while server.local_flow_control_window(1) >= 16384:
            server.send_data(1, bytes(16384))
            sent += 16384
        if data := server.data_to_send():
            game.receive(data, site)
    assert sent < 2 * GROWN_WINDOW
    assert server.outbound_flow_control_window > 1 << 30


def test_mitmproxy_makes_our_kind_of_connection() -> None:
    """An upgrade that stops asking for this name would bring the endless windows back."""
    assert vars(http)["Http2Client"] is GatewayHttp2Client
    assert pressure.HELD_LIMIT >= GROWN_WINDOW
