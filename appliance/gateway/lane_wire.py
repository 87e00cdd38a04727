"""The lean lane: a client connection past mitmproxy's layers, for as long as nothing but bytes passes.

What lives only here: when a connection may take the short way, and the short way itself: from the socket
through the client's TLS (the very session of mitmproxy's layer) to the carriage, and back. The moment that
something else is to be done (another lane, an end, a failed site), the connection is back where it was, and
the layers do it. No layer notices: each keeps its state, and TLS has one state for both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol, override

from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes, tls
from mitmproxy.proxy.tunnel import TunnelState
from OpenSSL import SSL

from appliance.gateway.handler import CLIENT_BUFFER
from appliance.gateway.lane import LeanLayer
from appliance.gateway.lane_acts import Act, Alarm
from appliance.gateway.lane_link import Acts, Left, Link

READ_SIZE = 65_536
"""Encrypted bytes that are taken from the TLS session at once."""

_RECORD = 16_384  # bytes that one record of TLS can hold
_ROOM = 512  # more than the encryption of a few of them adds
_APPLICATION_DATA, _HEAD = 23, 5

_CLEAR = (modes.HttpProxy, modes.TransparentProxy, tls.ServerTLSLayer, LeanLayer)
"""Layers that pass on what they get, once the connection stands."""


class Handler(Protocol):
    """What the short way needs of the connection's handler (`handler.Handler`)."""

    def deliver(self, event: events.Event) -> None:
        """Give the layers an event, at once."""

    def active(self) -> None:
        """Note that the connection is in use."""

    def failed(self) -> None:
        """Cut the connection, whose handling has just failed with an exception."""


class Wire(asyncio.Protocol):
    """One client connection on the short way."""

    def __init__(
        self, handler: Handler, transport: asyncio.Transport, layer: LeanLayer, session: SSL.Connection | None
    ) -> None:
        self._handler = handler
        self._transport = transport
        self._layer = layer
        self._carriage = layer.carriage
        self._session = session
        self._link: Link | None = None
        self._before: Any = None

    def enter(self, link: Link) -> None:
        """Take the connection."""
        self._link = link
        self._before = self._transport.get_protocol()
        self._carriage.out = self
        link.wire = self
        self._transport.set_protocol(self)
        if not link.free:
            self._transport.pause_reading()

    def leave(self) -> None:
        """Give the connection back to the layers."""
        link, self._link = self._link, None
        if link is None:
            return
        link.wire = None
        self._carriage.out = self._layer
        self._transport.set_protocol(self._before)
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # --- the socket (asyncio.Protocol) ---

    @override
    def data_received(self, data: bytes) -> None:
        self.run(self._received, data)

    @override
    def eof_received(self) -> bool | None:
        self.leave()
        ended: bool | None = self._before.eof_received()
        return ended

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        self._before.connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        self._before.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._before.resume_writing()

    # --- for the link ---

    def run(self, work: Callable[[bytes], None], data: bytes) -> None:
        """Do something for the client; if that fails, the client is cut (H1, H29)."""
        try:
            self._handler.active()
            work(data)
        except Exception:  # noqa: BLE001 - whatever failed, nothing more may pass
            self.leave()
            self._handler.failed()

    def reading(self, *, on: bool) -> None:
        """Go on reading the client, or let it wait."""
        if not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def pressed(self) -> bool:
        """Tell whether the client takes bytes more slowly than they come."""
        return self._transport.get_write_buffer_size() > CLIENT_BUFFER

    # --- for the carriage (lane_carriage.Out) ---

    def send(self, data: bytes) -> None:
        """Send bytes to the client."""
        session = self._session
        if session is None:
            self._transport.write(data)
            return
        session.sendall(data)
        size = min(len(data) + _ROOM, READ_SIZE)
        part = session.bio_read(size)
        if len(part) == size:
            parts = [part]
            while len(parts[-1]) == size:
                try:
                    parts.append(session.bio_read(size))
                except SSL.WantReadError:
                    break
            part = b"".join(parts)
        self._transport.write(part)

    def act(self, act: Act) -> None:
        """Let the layer do something else."""
        if not isinstance(act, Alarm):
            self.leave()
        self._handler.deliver(Acts(self._layer, act))

    def _received(self, data: bytes) -> None:
        session = self._session
        if session is None:
            self._carriage.feed(data)
            return
        session.bio_write(data)
        found: list[bytes] = []
        ended = False
        try:
            found.append(session.recv(_RECORD))
            while not _is_record(data):  # of one record nothing is left: to be told so costs an exception
                found.append(session.recv(_RECORD))
        except SSL.WantReadError:
            self._reply(session)
        except (SSL.ZeroReturnError, SSL.Error):  # an orderly end, and a broken one
            self._reply(session)
            ended = True
        if found and self._link is not None:
            self._carriage.feed(found[0] if len(found) == 1 else b"".join(found))
        if ended:
            self.leave()
            self._handler.deliver(Left(self._layer))

    def _reply(self, session: SSL.Connection) -> None:
        # What reading has to say to the client's encryption itself: a new key, or what was wrong.
        with contextlib.suppress(SSL.Error):  # nothing at all, as a rule
            self._transport.write(session.bio_read(READ_SIZE))


def _is_record(data: bytes) -> bool:
    """Tell whether `data` is one whole record of TLS (RFC 8446 5.1), as a request nearly always is."""
    size = len(data) - _HEAD
    return size > 0 and data[0] == _APPLICATION_DATA and size == data[3] << 8 | data[4]


def shorten(link: Link, handler: Any, transport: asyncio.Transport) -> bool:
    """Let a connection take the short way; False if it never will, because other layers have a part in it."""
    layer, context = link.owner, link.context
    if not isinstance(layer, LeanLayer) or context is None or layer.carriage.gone:
        return False
    clear, session = _session(context)
    # A layer that waits for a hook keeps what comes meanwhile: nothing may overtake that.
    waits = any(each._paused for each in context.layers)  # noqa: SLF001 - mitmproxy has no public name for it
    if clear and not waits and not transport.is_closing() and not transport.get_write_buffer_size():
        Wire(handler, transport, layer, session).enter(link)
    return clear


def _session(context: Context) -> tuple[bool, SSL.Connection | None]:
    # Whether all layers before ours only pass on what they get; and the client's TLS session, if any.
    found: SSL.Connection | None = None
    for layer in context.layers:
        if isinstance(layer, tls.ClientTLSLayer):
            if found is not None or layer.tunnel_state is not TunnelState.OPEN:
                return False, None
            found = layer.tls
        elif not isinstance(layer, _CLEAR):
            return False, None
    return True, found
