"""Back-pressure: what waits for somebody slow is bounded.

What lives only here: how much the gateway holds for a stream whose other side does not take it, and how the
sender is made to wait. HTTP/1 waits by not being read (`Handler.drain_writers`), HTTP/2 by not being given
more window (RFC 9113 5.2): mitmproxy gives windows without end and buffers what it cannot send, so one
client that stops reading would fill the worker. It stands in the place of mitmproxy's own classes (see
`layers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, override

from hyperframe.frame import GoAwayFrame
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _events, _http2, _http_h2
from mitmproxy.proxy.tunnel import TunnelLayer

WINDOW = 131_072
"""Bytes that the other side may send on a new stream before any of them was passed on."""

GROWN_WINDOW = 1_048_576
"""The same for a stream whose bytes are taken: enough for 280 Mbit/s at 30 ms."""

GROWN_STREAMS = 8
"""Streams of one connection that may have the large window at a time."""

ENOUGH = 131_072
"""Bytes that wait for somebody slow before the sender has to wait as well."""

HELD_LIMIT = 1_048_576
"""Bytes of a connection that wait for a decision or for a site, before it is read no further."""

LEAVING = "leaving"
"""The option of a connection that says that this worker takes no more, and another has taken its place."""

RETRY_SECONDS = 0.02
"""How often a stream that waits is looked at again."""


_FAREWELL = GoAwayFrame(0, last_stream_id=2**31 - 1).serialize()


class BoundedH2(_http_h2.BufferedH2Connection):
    """HTTP/2 that opens a stream's window again only when its bytes have been taken."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.local_settings.initial_window_size = WINDOW
        self.local_settings.acknowledge()
        self.full: Callable[[int], bool] = lambda _stream: False
        self.owed: dict[int, int] = {}
        self._grown: set[int] = set()

    @override
    def acknowledge_received_data(self, acknowledged_size: int, stream_id: int) -> None:
        """Give the sender as much window as was received, now or, where the bytes are not taken, later."""
        if self.full(stream_id):
            self.owed[stream_id] = self.owed.get(stream_id, 0) + acknowledged_size
            return
        super().acknowledge_received_data(acknowledged_size, stream_id)
        self._grow(stream_id)

    def settle(self) -> None:
        """Give the window that is owed to streams whose bytes have been taken meanwhile."""
        for stream_id in [stream for stream in self.owed if not self.full(stream)]:
            super().acknowledge_received_data(self.owed.pop(stream_id), stream_id)

    def waiting(self, stream_id: int) -> int:
        """Return how many bytes wait because the other side gives no window for them."""
        buffered = self.stream_buffers.get(stream_id)
        return sum(len(part.data) for part in buffered) if buffered else 0

    def _grow(self, stream_id: int) -> None:
        if stream_id in self._grown:
            return
        self._grown &= self.streams.keys()
        if len(self._grown) < GROWN_STREAMS and (stream := self.streams.get(stream_id)) and stream.open:
            self._grown.add(stream_id)
            self.increment_flow_control_window(GROWN_WINDOW - WINDOW, stream_id)


class _Bounded(_http2.Http2Connection):
    """What both ends have in common: windows that are owed are looked after."""

    h2_conn: BoundedH2
    _look: commands.RequestWakeup | None = None

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.Wakeup) and event.command is self._look:
            self._look = None
            self.h2_conn.settle()
            if data := self.h2_conn.data_to_send():
                yield commands.SendData(self.conn, data)
        else:
            yield from super()._handle_event(event)
        if self.h2_conn.owed and self._look is None:
            self._look = commands.RequestWakeup(RETRY_SECONDS)
            yield self._look


class GatewayHttp2Server(_Bounded, _http2.Http2Server):
    """HTTP/2 towards a client."""

    _farewell = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._http = _http_layer(context)
        self.h2_conn = BoundedH2(self.h2_conf)
        self.h2_conn.full = self._full

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield from super()._handle_event(event)
        if not self._farewell and getattr(self.context.options, LEAVING, False):
            # No new streams from here on (RFC 9113 6.8); whatever was asked for already is answered.
            self._farewell = True
            yield commands.SendData(self.conn, _FAREWELL)

    def _full(self, stream_id: int) -> bool:
        waiting = sum(origin.held(stream_id) for origin in origins_of(self._http))
        return waiting + _paused(self._http.streams.get(stream_id)) > ENOUGH


class GatewayHttp2Client(_Bounded, _http2.Http2Client):
    """HTTP/2 towards a site."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._http = _http_layer(context)
        self.h2_conn = BoundedH2(self.h2_conf)
        self.h2_conn.local_settings.enable_push = 0
        self.h2_conn.local_settings.acknowledge()
        self.h2_conn.full = self._full
        origins_of(self._http).append(self)

    def held(self, stream_id: int) -> int:
        """Return how many bytes of the client's stream wait for this site."""
        ours = self.our_stream_id.get(stream_id)
        events = self.stream_queue.get(stream_id, ())
        queued = sum(len(one.data) for one in events if isinstance(one, _events.RequestData))
        return queued + (self.h2_conn.waiting(ours) if ours is not None else 0)

    def _full(self, stream_id: int) -> bool:
        theirs = self.their_stream_id.get(stream_id)
        if theirs is None:
            return False
        return waiting_for_client(self._http, theirs) + _paused(self._http.streams.get(theirs)) > ENOUGH


# mitmproxy makes its connections to sites itself, and asks nobody of which class.
setattr(http, "Http2Client", GatewayHttp2Client)  # noqa: B010 - said aloud, as it replaces a name


def _http_layer(context: Context) -> http.HttpLayer:
    return next(layer for layer in reversed(context.layers) if isinstance(layer, http.HttpLayer))


def origins_of(layer: http.HttpLayer) -> list[GatewayHttp2Client]:
    """Return the HTTP/2 connections to sites that belong to an HTTP layer."""
    found: list[GatewayHttp2Client] = layer.__dict__.setdefault("origins", [])
    return found


def waiting_for_client(layer: http.HttpLayer, stream_id: int) -> int:
    """Return how many bytes of a stream wait because its client gives no window for them."""
    client = layer.connections.get(layer.context.client)
    return client.h2_conn.waiting(stream_id) if isinstance(client, GatewayHttp2Server) else 0


def taken(context: Context, connection: Connection) -> bool:
    """Tell whether the client takes what comes from the site's `connection`.

    One that speaks HTTP/2 is always read, since its streams wait each by itself.
    """
    return connection.alpn == b"h2" or not any(
        stream.context.server is connection and waiting_for_client(layer, stream_id) > ENOUGH
        for layer in http_layers(context)
        for stream_id, stream in layer.streams.items()
    )


def held(context: Context) -> int:
    """Return how many bytes of a connection wait for a decision, or for a connection to a site."""
    total = sum(_paused(layer) for layer in context.layers)
    for layer in http_layers(context):
        for stream in layer.streams.values():
            at = stream.context.layers.index(stream)
            total += sum(_paused(inner) for inner in stream.context.layers[at:])
    return total


def busy(context: Context) -> bool:
    """Tell whether a request, a tunnel or a WebSocket is under way on a connection."""
    return any(layer.streams for layer in http_layers(context))


def http_layers(context: Context) -> Iterable[http.HttpLayer]:
    """Return the HTTP layers of a connection, and those within its tunnels."""
    for layer in context.layers:
        if isinstance(layer, http.HttpLayer):
            yield layer
            for stream in layer.streams.values():  # a tunnel holds layers of its own
                if stream.child_layer is not None:
                    at = stream.context.layers.index(stream)
                    yield from (x for x in stream.context.layers[at:] if isinstance(x, http.HttpLayer))


def _paused(layer: Layer | None) -> int:
    if layer is None:
        return 0
    waiting: list[Any] = [*layer._paused_event_queue]  # noqa: SLF001 - mitmproxy has no public name for it
    if isinstance(layer, TunnelLayer):
        waiting += layer._event_queue  # noqa: SLF001 - as above
    return sum(len(one.data) for one in waiting if isinstance(getattr(one, "data", None), bytes))
