"""Encryption between a client and the proxy itself: the port that a PAC file calls `HTTPS`.

What lives only here: that encryption, opened as soon as a client connects, under a certificate of the
school's CA for the proxy's own name or address and for no other. Inside, a socket of our own carries on what
the client says, so that the door and all behind it work as on the port that is not encrypted. Encrypted
connections through the proxy are encrypted twice on this stretch.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any, override

from appliance.gateway.ca import Authority, Leaf
from appliance.gateway.certified import load
from appliance.gateway.translate import Tunnel

HANDSHAKE_SECONDS = 30.0
CUT_SECONDS = 0.3
"""How long the inner end of a connection that is cut may take to close, before the outer one is dropped."""

_PIECE = 65_536


class ProxyTls:
    """Opens encrypted connections to the proxy, called by one of `names` or by the address it stands at."""

    def __init__(self, authority: Authority, names: tuple[str, ...]) -> None:
        self._authority = authority
        self._names = frozenset(names)
        self._contexts: dict[str, tuple[Leaf, ssl.SSLContext]] = {}

    async def opened(self, sock: socket.socket, tunnel: Tunnel) -> tuple[socket.socket, Relay]:
        """Shake hands on `sock`; return the socket that carries what the client says, and what feeds it.

        OSError where the client does not keep up its side. `sock` is closed with the relay, or on failure.
        """
        address = str(sock.getsockname()[0]).removeprefix("::ffff:").partition("%")[0]
        context = self._context(address)
        context.sni_callback = self._choose
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_PIECE, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except BaseException:
            sock.close()
            raise
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return theirs, Relay(reader, writer, ours, tunnel)

    def _choose(self, wire: Any, name: str | None, _context: ssl.SSLContext) -> None:
        # A client that calls us by another name is shown the certificate of our address, and says no.
        if name is not None and name.lower() in self._names:
            wire.context = self._context(name.lower())

    def _context(self, name: str) -> ssl.SSLContext:
        leaf = self._authority.leaf(name)
        kept = self._contexts.get(name)
        if kept is not None and kept[0] is leaf:
            return kept[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        load(context, leaf, self._authority.certificate)
        self._contexts[name] = leaf, context
        return context


class Relay:
    """Carries bytes between an encrypted connection and the socket `inner`, until both sides are over."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner: socket.socket,
        tunnel: Tunnel,
    ) -> None:
        self._reader, self._writer, self._inner = reader, writer, inner
        self.tunnel = tunnel
        self._ended = False

    async def run(self) -> None:
        """Carry on until it is over; both connections are closed then."""
        up = asyncio.ensure_future(self._up())
        try:
            await self._down()
        finally:
            up.cancel()
            self._writer.close()
            self._inner.close()
            await asyncio.gather(up, return_exceptions=True)

    def cut(self) -> None:
        """Drop what a slow client has still to read, if the connection inside has ended by now."""
        if self._ended:
            self._writer.transport.abort()

    async def _up(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # of either side: `_down` sees the end as well
            while data := await self._reader.read(_PIECE):
                await loop.sock_sendall(self._inner, data)
            self._inner.shutdown(socket.SHUT_WR)
            return
        with contextlib.suppress(OSError):
            self._inner.shutdown(socket.SHUT_RDWR)

    async def _down(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(self._inner, _PIECE):
                self._writer.write(data)
                await self._writer.drain()
        self._ended = True
        with contextlib.suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()


class InnerWriter(asyncio.StreamWriter):
    """Writes to the socket within, and tells of the connection what is true of the one outside."""

    device = ""
    """The network address of the client."""

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection; the port of the device is not told, as 0."""
        if name in ("peername", "sockname"):
            return self.device, 0
        return super().get_extra_info(name, default)
