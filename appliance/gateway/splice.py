"""Bytes between a client and a site, as they are.

What lives only here: the moving of bytes that nobody reads, with a bounded amount in hand, counted, and
ended from outside when the decision that allowed it ends. It works on bare sockets: per connection it costs
a fraction of what a proxy's layers cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

_ROOM = 262_144
_buffer = memoryview(bytearray(_ROOM))  # one for all: it is empty again before anybody else runs
_LINGER_NONE = struct.pack("ii", 1, 0)


class _Way:
    """One direction: what comes from `source` goes to `target`."""

    __slots__ = ("_loop", "_moved", "_over", "ended", "passed", "pending", "source", "target")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        source: socket.socket,
        target: socket.socket,
        moved: Callable[[], None],
        over: Callable[[OSError | None], None],
    ) -> None:
        self._loop, self.source, self.target = loop, source, target
        self._moved, self._over = moved, over
        self.pending = b""
        self.passed = 0
        self.ended = False

    def begin(self, first: bytes = b"") -> None:
        self.pending, self.passed = first, len(first)
        self.flush() if first else self._loop.add_reader(self.source, self.move)

    def move(self) -> None:
        try:
            size = self.source.recv_into(_buffer)
            if not size:
                self._end()
                return
            self.passed += size
            sent = self._send(_buffer[:size])
        except OSError as error:
            self._fail(error)
            return
        self._moved()
        if sent < size:
            # Nothing more is read until this has gone: whoever sends has to wait.
            self.pending = bytes(_buffer[sent:size])
            self._loop.remove_reader(self.source)
            self._loop.add_writer(self.target, self.flush)

    def flush(self) -> None:
        try:
            sent = self._send(memoryview(self.pending))
        except OSError as error:
            self._fail(error)
            return
        self._moved()
        self.pending = self.pending[sent:]
        if self.pending:
            self._loop.add_writer(self.target, self.flush)
        else:
            self._loop.remove_writer(self.target)
            self._loop.add_reader(self.source, self.move)

    def stop(self) -> None:
        self._loop.remove_reader(self.source)
        self._loop.remove_writer(self.target)

    def _send(self, data: memoryview) -> int:
        try:
            return self.target.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def _end(self) -> None:
        self._loop.remove_reader(self.source)
        self.ended = True
        with contextlib.suppress(OSError):
            self.target.shutdown(socket.SHUT_WR)
        self._over(None)

    def _fail(self, error: OSError) -> None:
        if not isinstance(error, BlockingIOError | InterruptedError):
            self._over(error)


class Splice:
    """One connection that passes as it is. `ended` is called once, when it is over."""

    def __init__(self, client: socket.socket, site: socket.socket, ended: Callable[[], None]) -> None:
        """Take both sockets, which must be non-blocking; they are closed at the end."""
        loop = asyncio.get_running_loop()
        self._loop, self._ended, self._closed = loop, ended, False
        self._sockets = (client, site)
        self._up = _Way(loop, client, site, self._moved, self._over)
        self._down = _Way(loop, site, client, self._moved, self._over)
        self.moved_at = loop.time()
        """When something last passed, in the loop's time."""

    @property
    def sent(self) -> int:
        """Bytes towards the site."""
        return self._up.passed

    @property
    def received(self) -> int:
        """Bytes from the site."""
        return self._down.passed

    def begin(self, first: bytes) -> None:
        """Start, with what the client has sent so far."""
        self._down.begin()
        self._up.begin(first)

    def cut(self) -> None:
        """End it now: what is still on its way is dropped on both sides."""
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._close()

    def _moved(self) -> None:
        self.moved_at = self._loop.time()

    def _over(self, error: OSError | None) -> None:
        if error is not None:
            self.cut()
        elif self._up.ended and self._down.ended:
            self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for way in (self._up, self._down):
            way.stop()
        for end in self._sockets:
            end.close()
        self._ended()
