from __future__ import annotations

from collections.abc import Iterator

import pytest
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer
from OpenSSL import SSL

from appliance.gateway.records import GatewayClientTls, GatewayServerTls
from tests.gateway.playbook import client_context


class Tls:
    """Encryption that a reader can follow: what is written, in brackets; `closed` when the peer has gone."""

    def __init__(self, *, closed: bool = False) -> None:
        self.written = b""
        self.closed = closed

    def sendall(self, data: bytes) -> None:
        if self.closed:
            raise SSL.ZeroReturnError
        self.written += b"[" + data + b"]"

    def bio_read(self, _size: int) -> bytes:
        if not self.written:
            raise SSL.WantReadError
        written, self.written = self.written, b""
        return written


class Script(Layer):
    """A layer below that yields what a test says."""

    def __init__(self, context: Context, *script: commands.Command) -> None:
        super().__init__(context)
        self.script = script

    def _handle_event(self, _event: events.Event) -> CommandGenerator[None]:
        yield from self.script


@pytest.fixture
def context() -> Iterator[Context]:
    with client_context() as made:
        made.server.state = ConnectionState.OPEN
        Script(made)  # the door: encryption is never the outermost layer
        yield made


def played(layer: GatewayClientTls | GatewayServerTls, tls: Tls, *script: commands.Command) -> list[object]:
    """Return what comes out above the layer for one event; sent bytes as bytes, the rest by name."""
    layer.tls = tls  # type: ignore[assignment] # enough of it
    layer.child_layer = Script(layer.context, *script)
    out = layer.handle_event(events.Wakeup(commands.RequestWakeup(0)))
    return [one.data if isinstance(one, commands.SendData) else type(one).__name__ for one in out]


def test_pieces_of_one_event_leave_together(context: Context) -> None:
    """Head and body of an answer climb the layers once, in the order in which they were written."""
    head, body = (commands.SendData(context.client, text) for text in (b"head", b"body"))
    assert played(GatewayClientTls(context), Tls(), head, commands.Log("x"), body) == ["Log", b"[headbody]"]


def test_nothing_is_done_to_a_connection_before_what_was_written_has_left(context: Context) -> None:
    """A connection that is closed after an answer must not swallow the answer."""
    head, close = commands.SendData(context.client, b"head"), commands.CloseConnection(context.client)
    last = commands.SendData(context.server, b"next")
    found = played(GatewayClientTls(context), Tls(), head, close, last)
    assert found == [b"[head]", "CloseConnection", b"next"]


def test_both_sides_are_encrypted_alike(context: Context) -> None:
    """What goes to a site leaves together as well."""
    asked = (commands.SendData(context.server, text) for text in (b"ask", b"more"))
    assert played(GatewayServerTls(context), Tls(), *asked) == [b"[askmore]"]


def test_bytes_for_a_peer_that_has_gone_go_nowhere(context: Context) -> None:
    """A client that left in the middle of an answer is no fault of the gateway's."""
    head = commands.SendData(context.client, b"head")
    assert played(GatewayClientTls(context), Tls(closed=True), head) == []
