from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.gateway.relay import Relay
from appliance.identity.wire import SOCKET


async def ask(folder: Path, **headers: str) -> int:
    relay = Relay(folder)
    return (await relay.ask("GET", "/sign-in", headers, b"", client="10.0.0.1", scheme="https")).status


async def test_without_the_sign_in_the_answer_says_busy(tmp_path: Path) -> None:
    """A sign-in that is down keeps no request waiting, and opens nothing."""
    assert await ask(tmp_path) == 503
    assert await ask(tmp_path / "none") == 503


async def test_no_header_of_a_client_becomes_two(tmp_path: Path) -> None:
    """A line end inside a cookie cannot tell the sign-in another address."""
    assert await ask(tmp_path, cookie="a=b\r\nx-gateway-client: 10.0.0.2") == 503


@pytest.mark.parametrize(
    "answer", [b"", b"rubbish", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000]
)
async def test_an_answer_that_is_none_says_busy(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the sign-in's process, the client gets a whole answer."""
    monkeypatch.chdir(tmp_path)

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, SOCKET)
    assert await ask(tmp_path) == 503
    server.close()
