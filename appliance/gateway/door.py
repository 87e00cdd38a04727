"""The listening side: our own server modes, registered with mitmproxy.

What lives only here: how connections come in. Several workers listen on one port (SO_REUSEPORT), a
connection that crashes inside mitmproxy is cut instead of left hanging, and one that never gets to a
request is cut after a while.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Any, override

from mitmproxy import ctx, platform
from mitmproxy.addons import proxyserver
from mitmproxy.proxy import events, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers import modes

from appliance.gateway.heads import MALFORMED_MARK

logger = logging.getLogger(__name__)

BACKLOG = 1024
OPENING_SECONDS = 60.0
"""Longest time from a connection's first byte to its first whole request head."""


class SchoolExplicitMode(mode_specs.RegularMode):
    """Clients know the proxy and speak to it (CONNECT, absolute addresses)."""


class SchoolTransparentMode(mode_specs.TransparentMode):
    """Clients know nothing; nftables redirects their connections here."""


class Handler(mode_servers.ProxyConnectionHandler):
    """One client connection."""

    began = False
    """Set by the addon once a request or tunnel of this connection was judged."""
    user = ""
    """The account whose proxy credentials this connection has shown, set by the addon."""
    _opened: float | None = None
    _refused = False

    @override
    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if message.startswith(MALFORMED_MARK):
            self._refuse(message.removeprefix(MALFORMED_MARK))
        elif level >= logging.ERROR and "crashed" in message:
            # The layers are in an unknown state: nothing more may pass (H29). The text of a crash
            # can hold what a pupil wrote (H30), so only the kind of error is logged.
            kind = getattr(exc_info[1], "__class__", None) if isinstance(exc_info, tuple) else None
            self._tell("crashed", kind.__name__ if kind else _current_error())
            self.cut()

    @override
    async def server_event(self, event: events.Event) -> None:
        if not self.began and isinstance(event, events.DataReceived):
            # From its first byte: browsers open connections in advance and use them minutes later.
            self._opened = self._opened or time.monotonic()
            if time.monotonic() - self._opened > OPENING_SECONDS:
                self._refuse("no request within a minute")
                self.cut()
                return
        await super().server_event(event)

    def _refuse(self, text: str) -> None:
        if not self._refused:  # what is cut for one reason ends unfinished as well, and is one attempt
            self._refused = True
            self._tell("refused_head", text)

    def _tell(self, what: str, text: str) -> None:
        addon = self.master.addons.get("gateway")
        if addon is None:
            return
        try:
            getattr(addon, what)(self.client, text)
        except Exception as error:  # noqa: BLE001 - telling must not keep the connection from being cut
            logger.error("a refused connection could not be recorded: %s", type(error).__name__)  # noqa: TRY400 - its text can hold what a pupil sent

    def cut(self) -> None:
        """End this connection on both sides, at once."""
        for io in list(self.transports.values()):
            if io.handler is not None:
                io.handler.cancel("closed by the gateway")


def client_address(client: Any) -> str:
    """Return the network address of a client, as text; empty when it has already gone."""
    return str(client.peername[0]).removeprefix("::ffff:") if client.peername else ""


def _current_error() -> str:
    import sys  # noqa: PLC0415 - only on the way down

    error = sys.exc_info()[1]
    return type(error).__name__ if error else "unknown error"


class _Door[M: mode_specs.ProxyMode](mode_servers.AsyncioServerInstance[M]):
    """What both doors have in common: a port that all workers share."""

    @override
    async def listen(self, host: str, port: int) -> list[Any]:
        return [
            await asyncio.start_server(
                self.handle_stream, _addresses(host), port, reuse_port=True, backlog=BACKLOG
            )
        ]

    @override
    async def handle_stream(self, reader: Any, writer: Any = None) -> None:
        # mitmproxy's constructor has no types
        handler = Handler(ctx.master, reader, writer, ctx.options, self.mode)  # type: ignore[no-untyped-call] # see above
        handler.layer = self.make_top_layer(handler.layer.context)
        if isinstance(self.mode, SchoolTransparentMode) and not _destination(handler, writer):
            writer.close()
            return
        with self.manager.register_connection(handler.client.id, handler):
            await handler.handle_client()


def _addresses(host: str) -> list[str]:
    # `[::]` means every address, as `ip` and `ss` understand it; asyncio would take it as IPv6 alone, and
    # half of the school's traffic would find nobody listening.
    plain = host.strip("[]")
    return ["0.0.0.0", "::"] if plain in ("", "::") else [plain]  # noqa: S104 - the technician asked for it


def _destination(handler: Handler, writer: asyncio.StreamWriter) -> bool:
    # Where did the client want to go? Somebody who connects to the port itself was not redirected,
    # and would be sent round in circles (H26).
    socket = writer.get_extra_info("socket")
    try:
        assert platform.original_addr is not None  # noqa: S101 - set on Linux
        wanted = platform.original_addr(socket)
    except OSError as error:
        logger.warning("a connection to the transparent port was not redirected: %s", error)
        return False
    if wanted == socket.getsockname()[:2]:
        logger.warning("a connection to the transparent port was not redirected")
        return False
    handler.client.sockname = wanted
    handler.layer.context.server.address = wanted
    return True


class ExplicitDoor(_Door[SchoolExplicitMode]):
    """Takes connections of clients that know the proxy."""

    @override
    def make_top_layer(self, context: Context) -> Layer:
        return modes.HttpProxy(context)


class TransparentDoor(_Door[SchoolTransparentMode]):
    """Takes redirected connections."""

    @override
    def make_top_layer(self, context: Context) -> Layer:
        return modes.TransparentProxy(context)


class Doors(proxyserver.Proxyserver):
    """mitmproxy's proxy server addon; its name is what mitmproxy looks for."""

    name = "proxyserver"

    def cut(self, addresses: Collection[str], users: Collection[str] = ()) -> int:
        """End every open connection of these client addresses, and of these users' credentials, at once."""
        lost = [
            handler
            for handler in list(self.connections.values())
            if isinstance(handler, Handler)
            and (handler.user in users or client_address(handler.client) in addresses)
        ]
        for handler in lost:
            handler.cut()
        return len(lost)

    def handler_of(self, client: Any) -> Handler | None:
        """Return the handler of a client connection that is still open."""
        handler = self.connections.get(client.id)
        return handler if isinstance(handler, Handler) else None
