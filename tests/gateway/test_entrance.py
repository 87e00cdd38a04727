from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance.gateway import entrance as module
from appliance.gateway.entrance import Entrance
from appliance.gateway.translate import Tunnel
from appliance.model.decision import Reason
from tests.gateway.test_hello import hello_of
from tests.gateway.test_passage import PUSH, Stand

WANTED = ("198.51.100.7", 443)


@dataclass
class Door:
    """An entrance on loopback; `served` is what was handed to mitmproxy."""

    stand: Stand
    entrance: Entrance
    served: list[tuple[bytes, Tunnel, tuple[str, int] | None]] = field(default_factory=list)

    async def say(self, *parts: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.entrance.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.002)
        return reader, writer

    async def answer(self, *parts: bytes) -> bytes:
        reader, writer = await self.say(*parts)
        try:
            async with asyncio.timeout(5):
                return await reader.read()
        except ConnectionError:  # it was closed before all was sent
            return b""
        finally:
            writer.close()

    @property
    def because(self) -> list[str]:
        return [access.decision.because for access in self.stand.recorder.kept]


@contextlib.asynccontextmanager
async def opened(*, transparent: bool = True) -> AsyncIterator[Door]:
    stand = Stand()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    served: list[Any] = []

    async def serve(sock: socket.socket, first: bytes, tunnel: Tunnel, wanted: Any) -> None:
        served.append((first, tunnel, wanted))
        sock.close()

    entrance = Entrance([listener], stand.passage, serve, (lambda _sock: WANTED) if transparent else None)
    yield Door(stand, entrance, served)
    entrance.close()
    await asyncio.gather(*entrance._tasks)
    await stand.settle()
    stand.close()


async def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing cannot use up the worker."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    async with opened() as door:
        waiting = [await door.say() for _ in range(2)]
        await asyncio.sleep(0.01)
        assert await door.answer() == b""
        for _, writer in waiting:
            writer.close()


@pytest.mark.slow
async def test_a_fault_closes() -> None:
    """Whatever fails at the door, nothing passes, and it is counted."""
    async with opened() as door:
        door.stand.lists.broken = RuntimeError("secret")
        assert await door.answer(hello_of(PUSH)) == b""
        assert (Reason.FAULT, "door") in door.stand.metrics.faults
        assert door.served == []
        door.stand.lists.broken = None


@pytest.mark.slow
async def test_where_nobody_was_redirected_nobody_comes_in() -> None:
    """Somebody who connects to the transparent port itself is sent away (H26)."""
    async with opened() as door:

        def refuse(_sock: socket.socket) -> tuple[str, int]:
            raise OSError("was not redirected")

        door.entrance.destination = refuse
        assert await door.answer(b"GET / HTTP/1.1\r\n\r\n") == b""
        assert door.served == []


async def test_who_leaves_early_is_forgotten() -> None:
    """Nothing is kept of a connection whose client has gone."""
    async with opened() as door:
        _, writer = await door.say(b"\x16")
        writer.close()
        await asyncio.sleep(0.01)
        assert door.entrance.visitors == set()
        assert door.stand.metrics.unfinished == 1
