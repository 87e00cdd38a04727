"""The listening side: our own server modes, registered with mitmproxy.

What lives only here: how connections come in, several workers on one port (SO_REUSEPORT), and which of
them are cut when somebody loses access.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any, override

from mitmproxy import ctx
from mitmproxy.addons import proxyserver
from mitmproxy.proxy import mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers import modes

from appliance.gateway.entrance import Entrance
from appliance.gateway.handler import Handler
from appliance.gateway.hooks import Answering, Hooks
from appliance.gateway.listen import addresses, at, listening
from appliance.gateway.passage import Passage
from appliance.gateway.peers import destination_of, is_lost, peer_of
from appliance.gateway.pressure import LEAVING
from appliance.gateway.proxy_tls import InnerWriter, ProxyTls
from appliance.gateway.resolver import CLIENT
from appliance.gateway.translate import Tunnel


class SchoolExplicitMode(mode_specs.RegularMode):
    """Clients know the proxy and speak to it (CONNECT, absolute addresses)."""


class SchoolEncryptedMode(mode_specs.RegularMode):
    """As the explicit mode, and what they say to the proxy is encrypted."""


class SchoolTransparentMode(mode_specs.TransparentMode):
    """Clients know nothing; nftables redirects their connections here."""


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
    proxy_tls: ProxyTls | None = None
    """What opens encryption to the proxy itself, where there is a port for it."""
    given: tuple[socket.socket, ...] = ()
    """Listening sockets that somebody else opened, and keeps when this worker ends."""
    leaving = False
    """Set once another worker has taken this one's place."""

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

    def cut(
        self, addresses: Collection[str], users: Collection[str] = (), nameless: Collection[str] = ()
    ) -> int:
        """End every open connection of these client addresses, and of these users' credentials, at once.

        Of the addresses `nameless`, only what was opened without credentials.
        """
        lost = [
            handler
            for handler in self.handlers
            if is_lost(
                peer_of(handler.client),
                handler.tunnel.user if handler.tunnel else "",
                addresses,
                users,
                nameless,
            )
        ]
        for handler in lost:
            handler.cut()
        for door in self.passage.waiting if self.passage is not None else ():
            door.cut(addresses, users, nameless)
        return len(lost)

    @property
    def handlers(self) -> list[Handler]:
        """Every client connection that mitmproxy reads."""
        return [each for each in self.connections.values() if isinstance(each, Handler)]

    def handler_of(self, client: Any) -> Handler | None:
        """Return the handler of a client connection that is still open."""
        handler = self.connections.get(client.id)
        return handler if isinstance(handler, Handler) else None
