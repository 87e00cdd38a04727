"""WebSockets: messages of any length, in bounded memory.

What lives only here: how much of a message is held. mitmproxy keeps each message until its last fragment has
come, and unpacks whatever it is sent at once; a message without an end, or a small one that unpacks to
gigabytes, would fill the worker. Here a message that grows beyond a bound goes on in fragments as it comes
(RFC 6455 5.4), and what unpacks to too much ends the socket (1009). Shorter ones keep the fragments that they
came in, because some servers read no others. It stands in the place of mitmproxy's own classes.
"""

from __future__ import annotations

from typing import Any, override

import wsproto.extensions
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import websocket
from wsproto.events import BytesMessage, TextMessage
from wsproto.frame_protocol import CloseReason, Opcode

HELD_BYTES = 1_048_576
"""Bytes of a message that are held until its end has come."""

HELD_FRAMES = 4096
"""Fragments of a message that are held; they can be empty."""

UNPACKED_LIMIT = 8_388_608
"""Bytes to which what is received at once may unpack; more than a hundred times of itself."""

_PIECE = 1024  # bytes that are unpacked at once: a megabyte at most


class GatewayWebsocketLayer(websocket.WebsocketLayer):
    """One WebSocket."""

    @override
    def relay_messages(self, event: events.Event) -> CommandGenerator[None]:
        yield from super().relay_messages(event)
        if self.flow.live:
            yield from self._go_on(self.client_ws, self.server_ws)
            yield from self._go_on(self.server_ws, self.client_ws)

    def _go_on(
        self, source: websocket.WebsocketConnection, target: websocket.WebsocketConnection
    ) -> CommandGenerator[None]:
        held = source.frame_buf
        if len(held) <= HELD_FRAMES and sum(map(len, held)) <= HELD_BYTES:
            return
        part = b"".join(held)
        source.frame_buf = [b""]
        decoder: Any = source._proto  # noqa: SLF001 - wsproto has no public name for the kind of a message
        # mitmproxy puts whole characters into its buffer, so a text can be divided here.
        if decoder._message_decoder.opcode is Opcode.TEXT:  # noqa: SLF001 - as above
            yield target.send2(TextMessage(part.decode(), message_finished=False))
        else:
            yield target.send2(BytesMessage(part, message_finished=False))


class BoundedDeflate(wsproto.extensions.PerMessageDeflate):
    """Compression of messages (RFC 7692) that does not unpack without end."""

    @override
    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        parts: list[bytes] = []
        size = 0
        for at in range(0, len(data), _PIECE):
            part = super().frame_inbound_payload_data(proto, data[at : at + _PIECE])
            if isinstance(part, CloseReason):
                return part
            size += len(part)
            if size > UNPACKED_LIMIT:
                return CloseReason.MESSAGE_TOO_BIG
            parts.append(part)
        return b"".join(parts)


# mitmproxy makes these itself, and asks nobody of which class.
setattr(websocket, "WebsocketLayer", GatewayWebsocketLayer)  # noqa: B010 - said aloud, as it replaces a name
setattr(wsproto.extensions, "PerMessageDeflate", BoundedDeflate)  # noqa: B010 - as above
