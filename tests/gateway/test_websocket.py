from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import wsproto
import wsproto.extensions
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import websocket as theirs
from mitmproxy.test import tflow
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Event, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

from appliance.gateway import websocket
from appliance.gateway.websocket import HELD_BYTES, HELD_FRAMES, BoundedDeflate, GatewayWebsocketLayer
from tests.gateway.playbook import client_context


@dataclass
class Live:
    """A client and a site, joined by the gateway's layer."""

    layer: GatewayWebsocketLayer
    client: Connection
    site: Connection
    got: list[Event]

    def say(self, *messages: Event) -> None:
        """Let the client say something; what the site hears of it is in `got`."""
        self.send(b"".join(self.client.send(message) for message in messages))

    def send(self, data: bytes) -> None:
        queue: list[events.Event] = [events.DataReceived(self.layer.context.client, data)]
        while queue:
            for command in self.layer.handle_event(queue.pop(0)):
                if isinstance(command, commands.SendData):
                    if command.connection is self.layer.context.server:
                        self.site.receive_data(command.data)
                        self.got += self.site.events()
                elif isinstance(command, commands.StartHook):
                    assert self.layer.flow.websocket is not None
                    self.layer.flow.websocket.messages.clear()  # as our addon does
                    queue.append(events.HookCompleted(command))

    @property
    def held(self) -> int:
        return sum(map(len, self.layer.client_ws.frame_buf))


def joined(context: Any, *, packed: bool) -> Live:
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    assert flow.response is not None
    flow.websocket.messages.clear()
    flow.live = True
    context.server.state = context.client.state
    extensions = [BoundedDeflate(), BoundedDeflate()] if packed else []
    if packed:
        flow.response.headers["sec-websocket-extensions"] = "permessage-deflate"
        for each in extensions:
            each.finalize("permessage-deflate")
    layer = GatewayWebsocketLayer(context, flow)
    for command in layer.handle_event(events.Start()):
        if isinstance(command, commands.StartHook):
            list(layer.handle_event(events.HookCompleted(command)))
    client = Connection(wsproto.ConnectionType.CLIENT, extensions[:1])  # type: ignore[arg-type]  # it is a list of them
    site = Connection(wsproto.ConnectionType.SERVER, extensions[1:])  # type: ignore[arg-type]  # as above
    return Live(layer, client, site, [])


@pytest.fixture
def live() -> Iterator[Live]:
    """Join a client and a site that pack nothing."""
    with client_context() as context:
        yield joined(context, packed=False)


@pytest.fixture
def packed() -> Iterator[Live]:
    """Join a client and a site that pack their messages."""
    with client_context() as context:
        yield joined(context, packed=True)


def test_a_message_without_an_end_is_not_kept(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that sends fragments for ever fills no worker; the site gets them as they come (H7)."""
    monkeypatch.setattr(websocket, "HELD_BYTES", 10_000)
    assert HELD_BYTES == 1 << 20
    piece = bytes(1000)
    for _ in range(60):
        live.say(BytesMessage(piece, message_finished=False))
        assert live.held <= 10_000
    live.say(BytesMessage(b"end", message_finished=True))
    assert live.held == 0
    assert sum(len(each.data) for each in live.got if isinstance(each, BytesMessage)) == 60_003
    last = live.got[-1]
    assert isinstance(last, BytesMessage)
    assert last.message_finished


def test_fragments_without_content_are_bounded_as_well(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at all, a million times, is not kept a million times."""
    monkeypatch.setattr(websocket, "HELD_FRAMES", 20)
    assert HELD_FRAMES > 20
    for _ in range(100):
        live.say(BytesMessage(b"", message_finished=False))
        assert len(live.layer.client_ws.frame_buf) <= 22
    live.say(BytesMessage(b"", message_finished=True))


def test_a_long_text_is_divided_between_its_letters(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pupil writes arrives as it was written, in any script, however it was cut on the way."""
    monkeypatch.setattr(websocket, "HELD_BYTES", 1000)
    text = "Ωξλ😀" * 700
    data = live.client.send(TextMessage(text))
    for at in range(0, len(data), 333):
        live.send(data[at : at + 333])
    parts = [each for each in live.got if isinstance(each, TextMessage)]
    assert len(parts) > 2
    assert "".join(each.data for each in parts) == text


def test_a_short_message_keeps_the_fragments_that_it_came_in(live: Live) -> None:
    """Some servers read no message that was cut anew."""
    live.say(TextMessage("good morning"))
    live.say(TextMessage("a", message_finished=False), TextMessage("bc", message_finished=True))
    assert live.got == [
        TextMessage("good morning"),
        TextMessage("a", message_finished=False),
        TextMessage("bc", message_finished=True),
    ]


def test_packed_messages_pass(packed: Live) -> None:
    """A live lesson whose messages are compressed works, and long ones of them."""
    packed.say(TextMessage("good morning" * 100), BytesMessage(bytes(20_000)))
    texts = [each.data for each in packed.got if isinstance(each, TextMessage)]
    assert "".join(texts) == "good morning" * 100
    assert sum(len(each.data) for each in packed.got if isinstance(each, BytesMessage)) == 20_000


def test_what_unpacks_without_end_ends_the_socket(packed: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes that would become a hundred megabytes end the connection instead (1009)."""
    monkeypatch.setattr(websocket, "UNPACKED_LIMIT", 100_000)
    packed.say(BytesMessage(bytes(1_000_000)))
    assert packed.held == 0
    assert [each.code for each in packed.got if isinstance(each, CloseConnection)] == [
        CloseReason.MESSAGE_TOO_BIG
    ]


def test_what_is_no_deflate_is_an_error() -> None:
    """Bytes that only claim to be packed end the socket as before."""
    deflate = BoundedDeflate()
    deflate._inbound_is_compressible = deflate._inbound_compressed = True
    deflate._decompressor = zlib.decompressobj(-15)
    data = b"\xff" * 3000
    assert deflate.frame_inbound_payload_data(None, data) is CloseReason.INVALID_FRAME_PAYLOAD_DATA


def test_mitmproxy_makes_our_kind() -> None:
    """An upgrade that looks for these classes elsewhere is noticed here."""
    assert theirs.WebsocketLayer is GatewayWebsocketLayer
    assert wsproto.extensions.PerMessageDeflate is BoundedDeflate
    assert issubclass(BoundedDeflate, PerMessageDeflate)
