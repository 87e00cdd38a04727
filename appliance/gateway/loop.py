"""The event loop whose connections lead outwards alone.

What lives only here: that every connection out of the worker gets its address from our resolver, whoever
opens it, and that a site with several addresses is tried at the next one soon (RFC 8305), for a bounded
time altogether.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from appliance.gateway.board import WRITE, Patience, board
from appliance.gateway.resolver import Resolver

CONNECT_SECONDS = 20.0
"""Longest time for a connection to a site, all its addresses together."""

NEXT_ADDRESS_SECONDS = 0.25
"""After which the next address is tried beside the one before (RFC 8305 section 5)."""

READ_SIZE = 65_535
"""Bytes that a connection reads at once: what mitmproxy takes, and no more, so that nothing stays behind.

asyncio asks for room for 262,144 and gives back what was not filled: holes of a quarter of a megabyte, which
made 19 MB of a worker's memory after half a million requests.
"""

_TOO_LATE = "the site did not answer in time"

type Reached = Callable[[socket.socket, OSError | None], None]
"""Is told of a socket that it is connected, or of the error with which it is not."""

type AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop whose name resolution gives out no internal address.

    Connections to a literal address do not resolve; the gateway's `server_connect` hook judges those.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resolver = Resolver()
        self._patience = Patience()

    def _make_socket_transport(self, *of: Any, **more: Any) -> asyncio.Transport:
        transport: Any = super()._make_socket_transport(*of, **more)  # type: ignore[misc] # asyncio's own word
        transport.max_size = READ_SIZE
        return transport  # type: ignore[no-any-return] # a socket's transport

    async def getaddrinfo(  # type: ignore[override] # typeshed knows more kinds of host than occur here
        self,
        host: str | bytes | None,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the name that asyncio calls it by
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Resolve as usual; internal addresses are left out, and nothing but those is an error."""
        del flags  # what they ask for is answered in any case, or has no meaning here
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host or ""
        found = []
        for address in await self.resolver.addresses(name):
            kind = socket.AF_INET6 if ":" in address else socket.AF_INET
            end = (address, int(port), 0, 0) if kind == socket.AF_INET6 else (address, int(port))
            if family in (0, kind):
                found.append((int(kind), type or socket.SOCK_STREAM, proto or socket.IPPROTO_TCP, "", end))
        if not found:
            raise OSError("this name has no address of that kind")
        return found

    async def create_connection(
        self, protocol_factory: Any, host: str | None = None, port: Any = None, **more: Any
    ) -> Any:
        """Connect as usual, but to an address of our resolver's, and with `connected`'s patience."""
        if host is not None and more.get("local_addr") is None:
            more.pop("local_addr", None)
            if more.get("ssl"):
                more.setdefault("server_hostname", host)
            more["sock"] = await self.connected(host, int(port))
            host = port = None
        return await super().create_connection(protocol_factory, host, port, **more)

    async def connected(self, host: str, port: int) -> socket.socket:
        """Return a socket that is connected to `host`, by whichever of its addresses answers first.

        Each further address is tried beside those before it after a moment. OSError if none answers in time.
        """
        known = self.resolver.known(host)
        if len(known) == 1:  # nobody to ask or to race against: no task, and nothing to wait for beside it
            return await self._attempt(known[0], port)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                # Not asyncio's own race: Python 3.13.0's fails under mitmproxy's task factory.
                return await self._race(_ordered(known or await self.resolver.addresses(host)), port)
        except TimeoutError:
            raise OSError(_TOO_LATE) from None

    def begin(self, host: str, port: int, done: Reached) -> bool:
        """Connect to a site whose one address is known already, and tell `done`; False for all others.

        The socket that is told of may be waited for at once, on the same board; closed at once, it must be
        said there first.
        """
        known = self.resolver.known(host)
        if len(known) != 1:
            return False
        self._start(_socket(known[0]), (known[0], port), done)
        return True

    async def reach(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """Connect a socket to a literal address, in bounded time; OSError if nobody answers there."""
        answered: asyncio.Future[None] = self.create_future()

        def done(_sock: socket.socket, error: OSError | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(None)
            else:
                answered.set_exception(error)

        stop = self._start(sock, address, done)
        try:
            await answered
        finally:
            stop()

    def _start(self, sock: socket.socket, address: tuple[str, int], done: Reached) -> Callable[[], None]:
        """Connect, and tell `done` once, at once or later; what is returned stops the waiting."""
        file, places = sock.fileno(), board()

        def stop() -> None:
            self._patience.end(ready)
            places.left(file, ready)

        def ready(_events: int) -> None:
            if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                stop()
                done(sock, OSError(error, os.strerror(error)))
                return
            self._patience.end(ready)
            done(sock, None)  # and whoever takes the socket over waits for it at the same place
            places.left(file, ready)

        def late() -> None:
            stop()
            done(sock, OSError(_TOO_LATE))

        try:
            sock.connect(address)
        except BlockingIOError:
            places.want(file, WRITE, ready)
            self._patience.wait(ready, CONNECT_SECONDS, late)
        except OSError as error:
            done(sock, error)
        else:
            done(sock, None)
        return stop

    async def _race(self, addresses: list[str], port: int) -> socket.socket:
        running: set[asyncio.Task[socket.socket]] = set()
        failed: BaseException | None = None
        try:
            while addresses or running:
                if addresses:
                    attempt = self._attempt(addresses.pop(0), port)
                    running.add(asyncio.Task(attempt, loop=self, eager_start=True))
                done, running = await asyncio.wait(
                    running,
                    timeout=NEXT_ADDRESS_SECONDS if addresses else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                won = [task.result() for task in done if task.exception() is None]
                for spare in won[1:]:
                    spare.close()
                if won:
                    return won[0]
                failed = next((task.exception() for task in done), failed)
        finally:
            for task in running:
                task.add_done_callback(_close_spare)
                task.cancel()
        raise failed or OSError("the site has no address")

    async def _attempt(self, address: str, port: int) -> socket.socket:
        sock = _socket(address)
        try:
            await self.reach(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)


def _ordered(addresses: tuple[str, ...]) -> list[str]:
    # One kind and the other in turn, so that a hole in one of them costs a moment and no more.
    six, four = [a for a in addresses if ":" in a], [a for a in addresses if ":" not in a]
    return [address for pair in zip_longest(six, four) for address in pair if address is not None]


def _close_spare(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
