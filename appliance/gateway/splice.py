"""Bytes between a client and a site, as they are.

What lives only here: the moving of bytes that nobody reads, with a bounded amount in hand, counted, and
ended from outside when the decision that allowed it ends. It works on bare sockets: per connection it costs
a fraction of what a proxy's layers cost.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

from appliance.gateway.board import READ, WRITE, Board, board

_ROOM = 262_144
_buffer = memoryview(bytearray(_ROOM))  # one for all: it is empty again before anybody else runs
_LINGER_NONE = struct.pack("ii", 1, 0)


class _End:
    """One of the two sockets: what comes from it goes to the other one."""

    __slots__ = ("_file", "_read", "_splice", "ended", "other", "passed", "pending", "sock")

    def __init__(self, splice: Splice, sock: socket.socket) -> None:
        self._splice, self.sock = splice, sock
        self._file, self._read = sock.fileno(), sock.recv_into
        self.other = self
        self.pending = b""
        """What came from here and waits for the other; until it is gone, nothing more is read."""
        self.passed = 0
        self.ended = False

    def expect(self) -> None:
        """Wait for what can be done with this socket now."""
        events = 0 if self.ended or self.pending else READ
        if self.other.pending:
            events |= WRITE
        self._splice.board.want(self._file, events, self._ready)

    def send(self, data: bytes) -> None:
        """Pass on `data`, as if it had come from here."""
        self.passed += len(data)
        self._keep(data[self._give(data) :] if data else data)

    def closed(self) -> None:
        self._splice.board.closed(self._file)
        self.sock.close()

    def _ready(self, events: int) -> None:
        try:
            # Whatever is no mere readiness is the end of the socket, which sending and reading both find.
            if events & ~READ and self.other.pending:
                self.other.flush()
            if events & ~WRITE and not self.pending and not self.ended:
                self._move()
        except OSError:
            self._splice.cut()
        except Exception:
            self._splice.cut()
            raise

    def _move(self) -> None:
        try:
            size = self._read(_buffer)
        except BlockingIOError:
            return
        if not size:
            self._end()
            return
        self.passed += size
        self._splice.moved_at = self._splice.board.now
        sent = self._give(_buffer[:size])
        if sent < size:  # nothing more is read until this has gone: whoever sends has to wait
            self._keep(bytes(_buffer[sent:size]))

    def flush(self) -> None:
        """Pass on what waits."""
        self._splice.moved_at = self._splice.board.now
        self._keep(self.pending[self._give(memoryview(self.pending)) :])

    def _keep(self, pending: bytes) -> None:
        self.pending = pending
        self.expect()
        self.other.expect()

    def _give(self, data: memoryview | bytes) -> int:
        try:
            return self.other.sock.send(data)
        except BlockingIOError:
            return 0

    def _end(self) -> None:
        self.ended = True
        if self.other.ended:
            self._splice.close()
            return
        self.expect()
        try:
            self.other.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has gone already, which reading it shows


class Splice:
    """One connection that passes as it is. `ended` is called once, when it is over."""

    def __init__(self, client: socket.socket, site: socket.socket, ended: Callable[[], None]) -> None:
        """Take both sockets, which must be non-blocking; they are closed at the end."""
        self.board: Board = board()
        self._ended, self._closed = ended, False
        self._up, self._down = _End(self, client), _End(self, site)
        self._up.other, self._down.other = self._down, self._up
        self.moved_at = time.monotonic()
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
        try:
            self._up.send(first)
        except OSError:
            self.cut()

    def cut(self) -> None:
        """End it now: what is still on its way is dropped on both sides."""
        if self._closed:
            return
        for end in (self._up, self._down):
            try:
                end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            except OSError:
                continue
        self.close()

    def close(self) -> None:
        """End it, once nothing is on its way any more."""
        if self._closed:
            return
        self._closed = True
        self._up.closed()
        self._down.closed()
        self._ended()
