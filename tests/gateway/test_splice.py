from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest

from appliance.gateway.splice import Splice


class Line:
    """A client and a site with a splice between them."""

    def __init__(self) -> None:
        self.client, ours = socket.socketpair()
        theirs, self.site = socket.socketpair()
        for end in (self.client, self.site, ours, theirs):
            end.setblocking(False)
        self.ended: list[bool] = []
        self.splice = Splice(ours, theirs, lambda: self.ended.append(True))

    def close(self) -> None:
        self.splice.cut()
        self.client.close()
        self.site.close()


async def until(ask: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not ask():  # noqa: ASYNC110 - sockets have no event to wait for here
            await asyncio.sleep(0.001)


async def test_bytes_pass_both_ways_as_they_are_and_are_counted() -> None:
    """What a bank and its customer say arrives whole, first bytes included."""
    line, loop = Line(), asyncio.get_running_loop()
    line.splice.begin(b"first ")
    line.client.send(b"and more")
    line.site.send(b"answer")
    assert await loop.sock_recv(line.client, 100) == b"answer"
    got = b""
    while len(got) < 14:
        got += await loop.sock_recv(line.site, 100)
    assert got == b"first and more"
    assert (line.splice.sent, line.splice.received) == (14, 6)
    line.close()
    assert line.ended == [True]


async def test_one_direction_may_end_before_the_other() -> None:
    """A client that has said all it had to say still gets its answer."""
    line, loop = Line(), asyncio.get_running_loop()
    line.splice.begin(b"")
    line.client.shutdown(socket.SHUT_WR)
    assert await loop.sock_recv(line.site, 1) == b""
    line.site.send(b"late")
    assert await loop.sock_recv(line.client, 10) == b"late"
    assert line.ended == []
    line.site.close()
    await until(lambda: line.ended)
    assert await loop.sock_recv(line.client, 1) == b""
    line.client.close()


async def test_whoever_does_not_read_stops_whoever_sends() -> None:
    """A slow device costs one piece of memory, and gets everything in the end."""
    line, loop = Line(), asyncio.get_running_loop()
    line.splice.begin(b"")
    sent = 0
    for _ in range(2000):
        try:
            sent += line.site.send(bytes(65536))
        except BlockingIOError:
            await asyncio.sleep(0)
    assert len(line.splice._down.pending) <= 262_144
    line.site.shutdown(socket.SHUT_WR)
    got = 0
    while piece := await loop.sock_recv(line.client, 1 << 20):
        got += len(piece)
    assert got == sent == line.splice.received
    line.close()


async def test_a_cut_ends_both_sides_at_once() -> None:
    """When the decision ends, nothing more passes, in either direction."""
    line, loop = Line(), asyncio.get_running_loop()
    line.splice.begin(b"x")
    line.splice.cut()
    line.splice.cut()
    assert line.ended == [True]
    for end in (line.client, line.site):
        with contextlib.suppress(ConnectionResetError):
            assert await loop.sock_recv(end, 10) in (b"", b"x")
        end.close()


@pytest.mark.parametrize("first", [b"", b"hello"])
async def test_a_side_that_breaks_ends_the_other(first: bytes) -> None:
    """No half of a connection is left behind."""
    line = Line()
    line.site.close()
    line.splice.begin(first)
    with contextlib.suppress(OSError):
        line.client.send(b"more")
        line.client.shutdown(socket.SHUT_WR)
    await until(lambda: line.ended)
    line.client.close()


async def test_silence_is_measured_from_the_last_byte() -> None:
    """A connection on which nothing moves can be found and ended."""
    line = Line()
    line.splice.begin(b"")
    before = line.splice.moved_at
    await asyncio.sleep(0.01)
    line.client.send(b"x")
    await until(lambda: line.splice.moved_at > before)
    line.close()
