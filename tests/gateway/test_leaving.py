from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.gateway import leaving
from appliance.gateway.leaving import inside
from tests.gateway.lanes import HOST, Lane, Origin, play

pytestmark = pytest.mark.slow

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return head + await asyncio.wait_for(reader.readexactly(5), 5)


@pytest.mark.parametrize("lean", [True, False], ids=["lean", "full"])
def test_what_has_begun_is_finished_and_then_it_ends(
    lean: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request amid its answer gets all of it, and its connection then ends; nobody new is let in."""
    monkeypatch.setattr(leaving, "QUIET_SECONDS", 0.2)
    go_on = asyncio.Event()

    async def slow(origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await origin.read(reader):
            await go_on.wait()
            writer.write(HELLO)

    async def scenario(lane: Lane) -> None:
        lane.origin.act = slow
        busy, writer = await lane.dial()
        idle, idler = await lane.dial()
        writer.write(lane.request())
        async with asyncio.timeout(5):
            while not lane.origin.heads:  # noqa: ASYNC110 - the site sets no event
                await asyncio.sleep(0.01)
        left = asyncio.create_task(leaving.leave(lane.bench.doors, 10))
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, lane.port)
        assert await asyncio.wait_for(idle.read(), 5) == b""
        assert inside(lane.bench.doors) == 1
        go_on.set()
        assert (await answer_of(busy)).endswith(b"hello")
        assert await asyncio.wait_for(busy.read(), 5) == b""
        assert await left == 0
        for each in (writer, idler):
            each.close()

    play(scenario, tmp_path, lean=lean)


@pytest.mark.parametrize("lean", [True, False], ids=["lean", "full"])
def test_a_client_that_goes_on_asking_is_told_to_come_in_anew(lean: bool, tmp_path: Path) -> None:
    """A connection that is never idle ends with the next answer, which says so (RFC 9112 9.6)."""

    async def scenario(lane: Lane) -> None:
        reader, writer = await lane.dial()
        left = asyncio.create_task(leaving.leave(lane.bench.doors, 10))
        await asyncio.sleep(0)
        writer.write(lane.request())
        assert b"\r\nconnection: close\r\n" in (await answer_of(reader)).lower()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert await left == 0
        writer.close()

    play(scenario, tmp_path, lean=lean)


def test_what_never_ends_has_a_limit(tmp_path: Path) -> None:
    """A worker does not stay for ever because of one download; how many it cuts is said."""

    async def never(origin: Origin, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await origin.read(reader)
        await asyncio.sleep(60)

    async def scenario(lane: Lane) -> None:
        lane.origin.act = never
        _, writer = await lane.dial()
        writer.write(lane.request())
        async with asyncio.timeout(5):
            while not lane.origin.heads:  # noqa: ASYNC110 - the site sets no event
                await asyncio.sleep(0.01)
        assert await leaving.leave(lane.bench.doors, 0.3) == 1
        with suppress(OSError):
            writer.close()

    play(scenario, tmp_path)


def test_who_has_said_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that opened a connection in advance opens another; who waits outside waits for the next."""
    monkeypatch.setattr(leaving, "QUIET_SECONDS", 0.1)

    async def scenario(lane: Lane) -> None:
        reader, writer = await asyncio.open_connection(HOST, lane.port)
        async with asyncio.timeout(5):
            while inside(lane.bench.doors) != 1:  # noqa: ASYNC110 - the door sets no event
                await asyncio.sleep(0.01)
        assert await leaving.leave(lane.bench.doors, 5) == 0
        assert await reader.read() == b""
        writer.close()

    play(scenario, tmp_path)
