"""The listening side: our own server modes, registered with mitmproxy.

What lives only here: how connections come in. Several workers listen on one port (SO_REUSEPORT), a
connection that crashes inside mitmproxy is cut instead of left hanging, and one that never gets to a
request is cut after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import time
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any, override

from mitmproxy import connection, ctx
from mitmproxy.addons import proxyserver
from mitmproxy.proxy import commands, events, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers import modes

from appliance.gateway.entrance import Entrance
from appliance.gateway.heads import MALFORMED_MARK
from appliance.gateway.hooks import Answer, Answering, Hooks
from appliance.gateway.lane_link import Link
from appliance.gateway.lingering import UNREAD_MARK, linger
from appliance.gateway.listen import addresses, at, listening
from appliance.gateway.passage import Passage
from appliance.gateway.peers import destination_of, peer_of
from appliance.gateway.pressure import HELD_LIMIT, LEAVING, RETRY_SECONDS, busy, held, taken
from appliance.gateway.proxy_tls import InnerWriter, ProxyTls
from appliance.gateway.resolver import CLIENT
from appliance.gateway.translate import Tunnel

logger = logging.getLogger(__name__)

READ_SIZE = 65_535
"""What mitmproxy reads at once: a shorter read has left nothing behind."""

CLIENT_BUFFER = 65_536
"""Bytes that may wait for a slow client before the site that sends them is no longer read."""

OPENING_SECONDS = 60.0
"""Longest time from a connection's first byte to its first whole request head."""


class SchoolExplicitMode(mode_specs.RegularMode):
    """Clients know the proxy and speak to it (CONNECT, absolute addresses)."""


class SchoolEncryptedMode(mode_specs.RegularMode):
    """As the explicit mode, and what they say to the proxy is encrypted."""


class SchoolTransparentMode(mode_specs.TransparentMode):
    """Clients know nothing; nftables redirects their connections here."""


class Handler(mode_servers.ProxyConnectionHandler):
    """One client connection."""

    hooks: Hooks
    """How the hooks of our addons are found and run."""
    tunnel: Tunnel | None = None
    """What is known of the connection; what it learns of it later, the addon writes into it."""
    began = False
    """Set by the addon once a request or tunnel of this connection was judged."""
    link: Link | None = None
    """The lean lane's way to the sites, where this connection is in that lane."""
    overrides: frozenset[int] = frozenset()
    """The overrides that something on this connection was open by."""
    _opened: float | None = None
    _refused = False
    _unread = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call] # mitmproxy's has no types
        self._moved = asyncio.Event()

    @override
    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if message == UNREAD_MARK:
            self._unread = True
        elif message.startswith(MALFORMED_MARK):
            self._unread = True  # whatever else it sent is not read either
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
        if self.link is not None and self.began and isinstance(event, events.DataReceived):
            self._hurry(self.link, event)

    def _hurry(self, link: Link, event: events.DataReceived) -> None:
        io = self.transports.get(self.client)
        if (
            event.connection is self.client
            and len(event.data) < READ_SIZE
            and io is not None
            and isinstance(io.writer, asyncio.StreamWriter)
            and isinstance(io.writer.transport, asyncio.Transport)
        ):
            link.hurry(io.writer.transport)

    @override
    def close_connection(self, connection: connection.Connection, half_close: bool = False) -> None:
        if self._unread and connection is self.client and not half_close:
            self._unread = False
            io = self.transports.get(connection)
            if io is not None and isinstance(io.writer, asyncio.StreamWriter):
                transport = io.writer.transport
                if isinstance(transport, asyncio.Transport):
                    linger(transport)
        super().close_connection(connection, half_close)

    def active(self) -> None:
        """Note that the connection is in use."""
        self.timeout_watchdog.register_activity()

    def idle(self, seconds: float) -> bool:
        """Tell whether nothing is under way, and nothing has moved for so long."""
        if time.time() - self.timeout_watchdog.last_activity < seconds:
            return False
        carriage = self.link.carriage if self.link is not None else None
        if carriage is not None and not carriage.gone:
            return carriage.idle
        return not busy(self.layer.context)

    def failed(self) -> None:
        """Cut the connection, whose handling has just failed with an exception."""
        self.log("the lean lane has crashed", logging.ERROR)

    def deliver(self, event: events.Event) -> None:
        """Give the layers an event from outside mitmproxy, at once: handling one never waits."""
        if self._server_event_lock.locked():  # another is being handled, higher up the stack
            asyncio.get_running_loop().call_soon(self.deliver, event)
            return
        work = self.server_event(event)
        try:
            work.send(None)
        except StopIteration:
            return
        work.close()
        raise RuntimeError("handling an event had to wait")

    def pressed(self) -> bool:
        """Tell whether the client takes bytes more slowly than they come."""
        io = self.transports.get(self.client)
        if io is None or not isinstance(io.writer, asyncio.StreamWriter):
            return False
        return io.writer.transport.get_write_buffer_size() > CLIENT_BUFFER

    async def relieved(self) -> None:
        """Return once the client has taken what waits for it, or has gone."""
        io = self.transports.get(self.client)
        if io is not None and isinstance(io.writer, asyncio.StreamWriter):
            with contextlib.suppress(OSError):
                await io.writer.drain()

    @override
    async def handle_connection(self, connection: connection.Connection) -> None:
        # The door has read the first bytes already, so this task gets far before whoever made it knows it.
        io = self.transports[connection]
        io.handler = io.handler or asyncio.current_task()
        await super().handle_connection(connection)

    @override
    async def handle_hook(self, hook: commands.StartHook) -> None:
        # What a layer asked has begun already, and only waits; the rest is asked by the handler itself.
        begun = self.layer.waiting.pop(hook, None) if isinstance(self.layer, Answering) else None
        outcome = begun or self.hooks.start(hook)
        if outcome is Answer.NEVER:
            raise asyncio.CancelledError
        if isinstance(outcome, asyncio.Task):
            with self.timeout_watchdog.disarm():
                await outcome

    @override
    async def drain_writers(self) -> None:
        # Called by the task that reads a connection, after each piece: until it returns, nothing more is
        # read there, and whoever sends has to wait. What waits elsewhere is counted by `pressure`.
        await super().drain_writers()  # type: ignore[no-untyped-call] # as above
        context = self.layer.context
        reading = asyncio.current_task()
        if (client := self.transports.get(self.client)) and client.handler is reading:
            self._moved.set()  # it may have opened a window
            if self.link is not None:
                await self.link.ready()
            while held(context) > HELD_LIMIT:  # noqa: ASYNC110 - many layers may end the waiting
                await asyncio.sleep(RETRY_SECONDS)
            return
        connection = next((conn for conn, io in self.transports.items() if io.handler is reading), None)
        while connection is not None and not taken(context, connection):
            self._moved.clear()
            await self._moved.wait()

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


def _current_error() -> str:
    import sys  # noqa: PLC0415 - only on the way down

    error = sys.exc_info()[1]
    return type(error).__name__ if error else "unknown error"


class _Door[M: mode_specs.ProxyMode](mode_servers.AsyncioServerInstance[M]):
    """What both doors have in common: a port that all workers share, and who stands at it."""

    @override
    async def listen(self, host: str, port: int) -> list[Any]:
        doors: Any = self.manager
        passage: Passage | None = getattr(doors, "passage", None)
        if passage is None:
            raise OSError("nobody judges at the door")
        sockets: list[socket.socket] = []
        try:
            for address in addresses(host):
                sockets += at(doors.given, address, port) or [listening(address, port)]
        except OSError:
            for each in sockets:
                each.close()
            raise
        return [Entrance(sockets, passage, self.serve, self.destination, self.encryption())]

    def encryption(self) -> ProxyTls | None:
        """Return what opens the encryption of connections to this port, where they are encrypted."""
        return None

    destination: Callable[[socket.socket], tuple[str, int]] | None = None

    async def serve(
        self, sock: socket.socket, first: bytes, tunnel: Tunnel, wanted: tuple[str, int] | None
    ) -> None:
        """Let mitmproxy read a connection, with all that was read of it so far."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        reader.feed_data(first)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
        kind = InnerWriter if tunnel.secure else asyncio.StreamWriter
        writer = kind(transport, protocol, reader, loop)
        if isinstance(writer, InnerWriter):
            writer.device = tunnel.client
        doors: Any = self.manager
        handler = Handler(ctx.master, reader, writer, doors.fixed_options(), self.mode)
        handler.hooks = doors.hooks()
        context = handler.layer.context
        handler.tunnel = tunnel
        if wanted is not None and tunnel.connect is None:
            handler.client.sockname = wanted
        if wanted is not None:
            context.server.address = wanted
            top: Layer = modes.TransparentProxy(context)
        else:
            top = self.make_top_layer(context)
        handler.layer = Answering(top, handler.hooks)
        CLIENT.set(peer_of(handler.client))  # whatever this connection looks up counts as this device's
        with self.manager.register_connection(handler.client.id, handler):
            await handler.handle_client()


class ExplicitDoor(_Door[SchoolExplicitMode]):
    """Takes connections of clients that know the proxy."""

    @override
    def make_top_layer(self, context: Context) -> Layer:
        return modes.HttpProxy(context)


class EncryptedDoor(_Door[SchoolEncryptedMode]):
    """Takes connections of clients that know the proxy and speak to it under encryption."""

    @override
    def encryption(self) -> ProxyTls | None:
        found: ProxyTls | None = getattr(self.manager, "proxy_tls", None)
        if found is None:
            raise OSError("there is no certificate for the proxy itself")
        return found

    @override
    def make_top_layer(self, context: Context) -> Layer:
        return modes.HttpProxy(context)


class TransparentDoor(_Door[SchoolTransparentMode]):
    """Takes redirected connections."""

    destination = staticmethod(destination_of)

    @override
    def make_top_layer(self, context: Context) -> Layer:
        return modes.TransparentProxy(context)


class Doors(proxyserver.Proxyserver):
    """mitmproxy's proxy server addon; its name is what mitmproxy looks for."""

    name = "proxyserver"
    passage: Passage | None = None
    """Who judges encrypted connections at the door; without one, no port is opened."""
    given: tuple[socket.socket, ...] = ()
    """Listening sockets that somebody else opened, and keeps when this worker ends."""
    leaving = False
    """Set once another worker has taken this one's place."""
    proxy_tls: ProxyTls | None = None
    """What opens encryption to the proxy itself, where there is a port for it."""

    # Methods, not properties: mitmproxy looks at every attribute of an addon when it is added.

    @functools.cache  # noqa: B019 - one door for the life of the process
    def hooks(self) -> Hooks:
        """Return the hooks of this worker's addons, found when the first connection comes."""
        return Hooks(ctx.master.addons)

    @functools.cache  # noqa: B019 - as above
    def fixed_options(self) -> SimpleNamespace:
        """Return the options as they are when the first connection comes.

        They never change then, and mitmproxy would copy each one whenever a layer reads it.
        """
        fixed = {name: getattr(ctx.options, name) for name in sorted(ctx.options.keys())}
        return SimpleNamespace(**fixed, **{LEAVING: False})

    def cut(self, addresses: Collection[str], users: Collection[str] = ()) -> int:
        """End every open connection of these client addresses, and of these users' credentials, at once."""
        lost = [
            handler
            for handler in list(self.connections.values())
            if isinstance(handler, Handler)
            and ((handler.tunnel and handler.tunnel.user in users) or peer_of(handler.client) in addresses)
        ]
        for handler in lost:
            handler.cut()
        for door in self.passage.waiting if self.passage is not None else ():
            door.cut(addresses, users)
        return len(lost)

    def lives_by(self, client: Any, overrides: frozenset[int]) -> None:
        """Note that something on a client's connection is open by these overrides, if by any."""
        if overrides and (handler := self.handler_of(client)) is not None:
            handler.overrides |= overrides

    def cut_overrides(self, ended: frozenset[int]) -> int:
        """End every open connection that lived by an override which has ended, at once."""
        lost = [
            handler
            for handler in list(self.connections.values())
            if isinstance(handler, Handler) and handler.overrides & ended
        ]
        for handler in lost:
            handler.cut()
        return len(lost)

    @property
    def handlers(self) -> list[Handler]:
        """Every client connection that mitmproxy reads."""
        return [each for each in self.connections.values() if isinstance(each, Handler)]

    def handler_of(self, client: Any) -> Handler | None:
        """Return the handler of a client connection that is still open."""
        handler = self.connections.get(client.id)
        return handler if isinstance(handler, Handler) else None
