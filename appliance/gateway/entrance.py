"""Where connections come in: the first bytes, before anything is decided.

What lives only here: the accepting of connections, who still waits, and who is sent away when access is lost.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from appliance.gateway.board import Patience, board
from appliance.gateway.passage import Passage
from appliance.gateway.peers import is_lost
from appliance.gateway.proxy_tls import CUT_SECONDS, ProxyTls, Relay
from appliance.gateway.translate import Tunnel, host_of
from appliance.gateway.visitor import Visitor
from appliance.model.decision import Reason

logger = logging.getLogger(__name__)

MOST_WAITING = 8192
"""Connections that wait for their first bytes; beyond them, new ones are closed."""

_BATCH = 64  # accepted at a time, so that those who are in are not held up
_RETRY_SECONDS = 1.0

type Serve = Callable[[socket.socket, bytes, Tunnel, tuple[str, int] | None], Awaitable[None]]
"""Hands a connection to mitmproxy: its socket, the bytes read, what is known of it, and where it goes."""


class Entrance:
    """Listening sockets, and everybody who has come in and not yet said what they want.

    `destination` returns where a redirected connection was going (OSError if it was not redirected); None
    for a port to which clients speak as to a proxy, under the encryption `proxy_tls` if there is any. The
    passage stands in `passage`.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        passage: Passage,
        serve: Serve,
        destination: Callable[[socket.socket], tuple[str, int]] | None,
        proxy_tls: ProxyTls | None = None,
    ) -> None:
        self.sockets = sockets
        self.passage, self.serve, self.destination = passage, serve, destination
        self._proxy_tls = proxy_tls
        self.loop = asyncio.get_running_loop()
        self.board = board()
        self.silent, self.speaking = Patience(), Patience()
        """How long nothing may come, and how long it may take to be whole."""
        self.visitors: set[Visitor] = set()
        self._relays: set[Relay] = set()
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()
        passage.waiting.append(self)
        for listener in sockets:
            self.loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Let nobody in any more, and send away whoever still waits."""
        self.shut()
        for visitor in list(self.visitors):
            visitor.leave()
        self.silent.close()
        self.speaking.close()
        if self in self.passage.waiting:
            self.passage.waiting.remove(self)
        self.passage.cut_all()

    def shut(self) -> None:
        """Let nobody in any more; whoever waits outside is for those who hold the sockets as well."""
        for listener in self.sockets:
            self.loop.remove_reader(listener)
            listener.close()
        self.sockets = []

    def dismiss(self) -> None:
        """Send away whoever has not said anything yet."""
        for visitor in list(self.visitors):
            if visitor.silent:
                visitor.leave()

    def __len__(self) -> int:
        return len(self.visitors)

    def cut(
        self, addresses: Collection[str], users: Collection[str] = (), nameless: Collection[str] = ()
    ) -> None:
        """Send away whoever waits, with or without a tunnel, as `Doors.cut` says."""

        def lost(tunnel: Tunnel) -> bool:
            return is_lost(tunnel.client, tunnel.user, addresses, users, nameless)

        for visitor in list(self.visitors):
            if lost(visitor.tunnel):
                visitor.leave()
        # What a slow client has not read yet does not reach it any more.
        for relay in [each for each in self._relays if lost(each.tunnel)]:
            self.loop.call_later(CUT_SECONDS, relay.cut)

    def run(self, work: Awaitable[None], sock: socket.socket | None) -> None:
        """Do something for a connection; when it fails, `sock` is closed, and the fault is counted."""

        async def done() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever failed, the connection is closed
                self.fault(error)
                if sock is not None:
                    sock.close()

        # Begun at once: most of it need not wait, and a turn of the loop costs as much as a decision.
        task = asyncio.Task(done(), loop=self.loop, eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def fault(self, error: BaseException) -> None:
        """Count a fault, and log its kind; its text can hold what a pupil sent."""
        self.passage.metrics.fault(Reason.FAULT, "door")
        logger.error("fault at the door, closed: %s", type(error).__name__)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # Out of descriptors: those who are in go first, and the others wait outside.
                    self.loop.remove_reader(listener)
                    self.loop.call_later(_RETRY_SECONDS, self._again, listener)
                return
            self._welcome(sock, peer)

    def _again(self, listener: socket.socket) -> None:
        if listener in self.sockets:
            self.loop.add_reader(listener, self._accept, listener)

    def _welcome(self, sock: socket.socket, peer: Any) -> None:
        tunnel = Tunnel(client=str(peer[0]).removeprefix("::ffff:"))
        if len(self.visitors) + self._opening >= MOST_WAITING:
            logger.warning("a connection was not taken: too many wait for their first bytes")
            sock.close()
            return
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wanted = self.destination(sock) if self.destination is not None else None
            if wanted is not None:
                tunnel.destination, tunnel.port = host_of(wanted[0]), wanted[1]
            if self._proxy_tls is not None:
                tunnel.secure = True
                self.run(self._open(sock, tunnel, self._proxy_tls), sock)
                return
            Visitor(self, sock, tunnel, wanted)
        except OSError as error:
            logger.warning("a connection was not taken: %s", error)
            sock.close()
        except Exception as error:  # noqa: BLE001 - nobody comes in through a fault
            self.fault(error)
            sock.close()

    async def _open(self, sock: socket.socket, tunnel: Tunnel, proxy_tls: ProxyTls) -> None:
        self._opening += 1
        try:
            inner, relay = await proxy_tls.opened(sock, tunnel)
        except OSError:  # no handshake, in time or at all: nobody has asked for anything yet
            return
        finally:
            self._opening -= 1
        self._relays.add(relay)
        try:
            Visitor(self, inner, tunnel, None)
            await relay.run()
        finally:
            self._relays.discard(relay)
