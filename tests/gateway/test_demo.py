from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from appliance.gateway.demo import serve_demo
from tests.doubles.running import free_port

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def demo() -> AsyncIterator[int]:
    port = free_port()
    task = asyncio.create_task(serve_demo(HOST, port))
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            break
        await asyncio.sleep(0.005)
    yield port
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def ask(port: int, head: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(head)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_demo_site_greets() -> None:
    """The first thing a new technician tries works with no internet."""
    async with demo() as port:
        head, _, body = (await ask(port, b"GET / HTTP/1.1\r\nHost: hello.example\r\n\r\n")).partition(
            b"\r\n\r\n"
        )
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert b"Hello!" in body


@pytest.mark.parametrize("head", [b"", b"GET / HT", b"\x16\x03\x01", b"x" * 70_000])
async def test_a_request_that_is_none_ends_in_silence(head: bytes) -> None:
    """Junk and a client that leaves early neither hang nor break the demo site."""
    async with demo() as port:
        with contextlib.suppress(ConnectionResetError):
            assert await ask(port, head) == b""
        assert b"200 OK" in await ask(port, b"GET / HTTP/1.1\r\n\r\n")


async def test_a_taken_port_is_an_error() -> None:
    """Whoever starts the demo is told that its port is taken."""
    async with demo() as port:
        with pytest.raises(OSError, match="in use"):
            await serve_demo(HOST, port)
