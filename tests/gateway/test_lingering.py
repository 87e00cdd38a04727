from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from appliance.gateway import lingering
from appliance.gateway.lingering import linger

ANSWER = b"HTTP/1.1 403 Forbidden\r\n\r\nwhy"


def closing(scenario: Callable[[socket.socket, asyncio.Transport], Awaitable[None]]) -> None:
    """Answer a client that is still sending, close, and play what the client does then."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            client.setblocking(False)
            accepted, _ = listener.accept()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
        transport.pause_reading()
        with client:
            await loop.sock_sendall(client, b"x" * 50_000)  # lies unread
            transport.write(ANSWER)
            await scenario(client, transport)

    asyncio.run(run())


async def _send_on(loop: asyncio.AbstractEventLoop, client: socket.socket) -> None:
    async with asyncio.timeout(2):
        while True:
            await loop.sock_sendall(client, b"x" * 50_000)
            await asyncio.sleep(0.001)


async def _all_ended() -> None:
    async with asyncio.timeout(2):
        while lingering._lingering:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


def test_a_client_that_still_sends_reads_why_it_was_refused() -> None:
    """The page that explains a refused upload is not torn away by a reset (RFC 9112 9.6)."""

    async def scenario(client: socket.socket, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        linger(transport)
        transport.close()
        await asyncio.sleep(0.03)
        await loop.sock_sendall(client, b"x" * 50_000)  # it has not looked at the answer yet
        found = b""
        while piece := await loop.sock_recv(client, 1000):
            found += piece
        assert found == ANSWER
        client.close()
        await _all_ended()

    closing(scenario)


def test_a_client_that_never_ends_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes on sending for ever holds a connection for a moment, and no longer."""
    monkeypatch.setattr(lingering, "LINGER_BYTES", 60_000)

    async def scenario(client: socket.socket, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        linger(transport)
        transport.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await _send_on(loop, client)
        await _all_ended()

    closing(scenario)


def test_a_client_that_falls_silent_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that neither reads nor ends costs a descriptor for two seconds, and is then cut."""
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 0.02)

    async def scenario(_client: socket.socket, transport: asyncio.Transport) -> None:
        linger(transport)
        transport.close()
        await _all_ended()

    closing(scenario)


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand refused uploads at once do not use up the worker's descriptors."""
    monkeypatch.setattr(lingering, "MOST_LINGERING", 0)

    async def scenario(_client: socket.socket, transport: asyncio.Transport) -> None:
        linger(transport)
        assert not lingering._lingering
        transport.abort()

    closing(scenario)


def test_what_has_gone_already_is_no_fault() -> None:
    """A client that was quicker than we are leaves nothing to wait for."""

    async def scenario(_client: socket.socket, transport: asyncio.Transport) -> None:
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        linger(transport)
        assert not lingering._lingering

    closing(scenario)
