from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from appliance.gateway import relay as relay_module
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


SIGNED_IN = b"HTTP/1.1 303 See Other\r\nlocation: /\r\n\r\n"
REFUSED = b"HTTP/1.1 200 OK\r\n\r\nno"


async def answered(answer: bytes, look: Callable[[], Coroutine[Any, Any, None]], method: str = "POST") -> int:
    """Ask a sign-in that gives this answer; the current folder is its own."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, SOCKET)
    relay = Relay(Path.cwd(), look)
    found = await relay.ask(method, "/sign-in", {}, b"", client="10.0.0.1", scheme="https")
    server.close()
    return found.status


@pytest.mark.parametrize(
    ("method", "answer", "looks"), [("POST", SIGNED_IN, 1), ("POST", REFUSED, 0), ("GET", SIGNED_IN, 0)]
)
async def test_who_has_signed_in_is_known_before_they_hear_of_it(
    method: str, answer: bytes, looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page after a sign-in is the page, and not the sign-in once more."""
    monkeypatch.chdir(tmp_path)
    looked: list[None] = []

    async def look() -> None:
        await asyncio.sleep(0)
        looked.append(None)

    await answered(answer, look, method)
    assert len(looked) == looks


@pytest.mark.slow
async def test_a_look_that_fails_or_hangs_keeps_no_answer_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is busy delays a sign-in by a moment, and undoes none; no look is broken off."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(relay_module, "LOOK_PATIENCE", 0.02)
    ended: list[str] = []

    async def fail() -> None:
        raise OSError("busy")

    async def hang() -> None:
        try:
            await asyncio.sleep(0.06)
            ended.append("whole")
        except asyncio.CancelledError:
            ended.append("broken off")
            raise

    assert await answered(SIGNED_IN, fail) == 303
    assert await answered(SIGNED_IN, hang) == 303
    assert ended == []
    await asyncio.sleep(0.1)
    assert ended == ["whole"]
