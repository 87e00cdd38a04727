from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import pytest

from appliance.gateway import lane_wire
from appliance.model.event import Access
from tests.gateway.lanes import HELLO, Lane, Origin, play

BIG = 4 << 20


async def wires(lane: Lane) -> list[bool]:
    """Return for each client connection whether it is on the short way."""
    handlers = [lane.bench.doors.handler_of(each.client) for each in lane.bench.doors.connections.values()]
    return [bool(each and each.link and each.link.wire) for each in handlers]


@pytest.mark.slow
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_connection_takes_the_short_way_and_comes_back_from_it(tmp_path: Path, encrypted: bool) -> None:
    """Plain requests pass mitmproxy's layers by; the first that is not plain goes through them."""

    async def scenario(lane: Lane) -> None:
        reader, writer = await lane.dial()
        for _ in range(2):
            writer.write(lane.request())
            assert (await reader.readuntil(b"hello")).endswith(HELLO)
        assert await wires(lane) == [True]
        writer.write(lane.request(more="Host: bets.example\r\n"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert await wires(lane) == [False]
        writer.transport.abort()
        assert [row.status for row in lane.bench.recorder.kept] == [200, 200, 400]

    play(scenario, tmp_path, encrypted=encrypted)


@pytest.mark.slow
def test_an_upgrade_is_the_full_lane_s(tmp_path: Path) -> None:
    """A WebSocket leaves the short way with its first byte, and is judged and tunnelled as ever."""

    async def upgrade(origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"upgrade" not in (head := await reader.readuntil(b"\r\n\r\n")).lower():
            writer.write(HELLO)
        origin.heads.append(head)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi"
        )
        await reader.read(1)

    async def scenario(lane: Lane) -> None:
        lane.origin.act = upgrade
        reader, writer = await lane.dial()
        writer.write(lane.request())
        await reader.readuntil(b"hello")
        more = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        writer.write(lane.request(more=more + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.transport.abort()

    play(scenario, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_slow_client_and_a_slow_site_cost_little_memory(tmp_path: Path, encrypted: bool) -> None:
    """Back-pressure both ways: what the one side does not take is not read from the other (H8)."""

    async def scenario(lane: Lane) -> None:
        size = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG
        lane.origin.answers[b"/big"] = size + bytes(BIG)
        reader, writer = await lane.dial()
        writer.write(lane.request())
        await reader.readuntil(b"hello")
        writer.write(lane.request("/big"))
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        assert (await asyncio.wait_for(reader.readexactly(BIG), 20)) == bytes(BIG)
        writer.write(lane.request("/up", f"Content-Length: {BIG}\r\n", method="POST"))
        writer.write(bytes(BIG))
        assert (await asyncio.wait_for(reader.readuntil(b"hello"), 20)).endswith(HELLO)
        assert lane.origin.bodies[-1] == bytes(BIG)
        rows = lane.bench.recorder.kept
        assert [(row.bytes_sent, row.bytes_received) for row in rows] == [(0, 5), (0, BIG), (BIG, 5)]
        writer.transport.abort()

    play(scenario, tmp_path, encrypted=encrypted)


def test_a_connection_with_other_layers_keeps_to_them() -> None:
    """Only where every layer is known to pass on what it gets is it passed by."""
    assert lane_wire._session(type("Context", (), {"layers": [object()]})()) == (False, None)


@pytest.mark.slow
def test_what_breaks_the_encryption_is_told_so(tmp_path: Path) -> None:
    """On the short way as well, the client's TLS hears what TLS has to say: else it would wait for it."""

    async def scenario(lane: Lane) -> None:
        reader, writer = await lane.dial()
        writer.write(lane.request())
        await reader.readuntil(b"hello")
        assert await wires(lane) == [True]
        os.write(writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x02no")
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            await asyncio.wait_for(reader.read(), 5)
        writer.transport.abort()

    play(scenario, tmp_path)


@pytest.mark.slow
def test_nothing_overtakes_what_waits_for_a_record(tmp_path: Path) -> None:
    """Requests that come while an answer waits for the log are carried after it, in their order (H1)."""

    async def scenario(lane: Lane) -> None:
        record = lane.bench.recorder.record

        async def slowly(access: Access) -> None:
            await asyncio.sleep(0.1)
            await record(access)

        lane.bench.recorder.record = slowly  # type: ignore[method-assign] # a disk that takes its time
        lane.origin.answers[b"/junk"] = b"no HTTP, and close\r\n\r\n"
        reader, writer = await lane.dial()
        writer.write(lane.request("/junk"))
        await asyncio.sleep(0.05)
        for path in ("/1", "/2", "/3"):
            lane.origin.answers[path.encode()] = HELLO.replace(b"hello", f"hi{path} ".encode())
            writer.write(lane.request(path))
            await asyncio.sleep(0.01)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
        found = await asyncio.wait_for(reader.readuntil(b"hi/3"), 5)
        assert found.index(b"hi/1") < found.index(b"hi/2") < found.index(b"hi/3")
        writer.transport.abort()

    play(scenario, tmp_path, encrypted=False)


@pytest.mark.slow
def test_a_client_that_takes_no_answer_gets_no_further_one(tmp_path: Path) -> None:
    """Many small requests, and no answer read: what waits for that client stays small (H8)."""

    async def scenario(lane: Lane) -> None:
        lane.origin.answers[b"/x"] = (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n" + bytes(60_000)
        )
        _, writer = await lane.dial()
        writer.transport.pause_reading()  # type: ignore[attr-defined] # asyncio's own has it
        for _ in range(300):
            writer.write(lane.request("/x"))
        asked = -1
        while asked < len(lane.origin.heads):
            asked = len(lane.origin.heads)
            await asyncio.sleep(0.3)
        assert 0 < asked < 200
        writer.transport.abort()

    play(scenario, tmp_path, encrypted=False)


@pytest.mark.slow
def test_a_connection_that_is_cut_ends_on_both_sides(tmp_path: Path) -> None:
    """Who is frozen gets nothing more, also in the middle of a download on the short way (H29)."""

    async def endless(origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await origin.read(reader)
        writer.write(HELLO)
        await origin.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        origin.bodies.append(await reader.read(1))

    async def scenario(lane: Lane) -> None:
        lane.origin.act = endless
        reader, writer = await lane.dial()
        writer.write(lane.request())
        await reader.readuntil(b"hello")
        writer.write(lane.request("/long"))
        await reader.readuntil(b"some")
        assert await wires(lane) == [True]
        for each in list(lane.bench.doors.connections.values()):
            handler = lane.bench.doors.handler_of(each.client)
            assert handler is not None
            handler.cut()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await asyncio.sleep(0.05)
        assert lane.origin.bodies[-1] == b""
        assert [row.bytes_received for row in lane.bench.recorder.kept] == [5, 4]
        writer.transport.abort()

    play(scenario, tmp_path, encrypted=False)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"\x17\x03\x03\x00\x02ab", True),
        (b"\x17\x03\x03\x00\x03ab", False),
        (b"\x17\x03\x03\x00\x01ab", False),
        (b"\x17\x03\x03\x00\x02ab\x17\x03\x03\x00\x01c", False),
        (b"\x15\x03\x03\x00\x02ab", False),
        (b"\x17", False),
        (b"\x17\x03\x03\x00", False),
    ],
)
def test_one_whole_record_is_known_from_its_head(data: bytes, whole: bool) -> None:
    """Only where nothing else can be there is it not asked whether there is more (RFC 8446 5.1)."""
    assert lane_wire._is_record(data) is whole
