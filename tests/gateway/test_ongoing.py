from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.gateway.actions import Carried, new_reference
from appliance.gateway.ongoing import Ongoing
from appliance.gateway.passage import Passage
from appliance.model.decision import Reason
from appliance.model.known import Match
from appliance.model.person import Person, Standing
from appliance.model.request import Request
from appliance.model.url import parse_url
from tests.doubles.addon import Bench
from tests.gateway.lanes import Lane, Origin, play
from tests.gateway.test_handler import handler_with

GAMBLING = (Match("gambling-list", "8", "site.example", ("gambling",)),)


def carried(bench: Bench, url: str) -> Carried:
    request = Request(parse_url(url), client="10.20.0.5")
    return Carried(request, bench.filtering.judge(request), new_reference())


def open_at(bench: Bench, *urls: str) -> list[list[str]]:
    """Open a connection in the lean lane for each address; return, for each, why it was cut."""
    found = []
    for number, url in enumerate(urls):
        handler, cuts = handler_with(None)
        under = carried(bench, url) if url else None
        handler.link = SimpleNamespace(carriage=SimpleNamespace(gone=False, carried=under, endless=True))  # type: ignore[assignment]  # enough
        bench.doors.connections[str(number)] = handler
        found.append(cuts)
    return found


def judging(bench: Bench) -> Ongoing:
    return Ongoing(bench.doors, bench.filtering, bench.addon)


async def test_what_would_no_longer_be_let_through_is_cut_and_recorded() -> None:
    """A timetable that ends, or a list that closes a site, ends a film as well; what may be goes on."""
    bench = Bench(lean=True)
    cuts = open_at(bench, "https://site.example/film", "https://other.example/film", "")
    await judging(bench).judge_again()
    assert cuts == [[], [], []]
    bench.lists.named["site.example"] = GAMBLING
    bench.filtering.changed()
    await judging(bench).judge_again()
    await asyncio.sleep(0)
    assert [bool(each) for each in cuts] == [True, False, False]
    (row,) = bench.recorder.kept
    assert (row.host, row.decision.reason, row.status) == ("site.example", Reason.UNACCEPTABLE, 0)


async def test_what_has_an_end_may_come_to_it_but_nothing_illegal() -> None:
    """A download goes on through an edit of the policy (issue 2), and not through a statutory list."""
    bench = Bench(lean=True)
    cuts = open_at(bench, "https://site.example/film", "https://other.example/film")
    for handler in bench.doors.handlers:
        handler.link.carriage.endless = False  # type: ignore[union-attr, misc]  # a double's
    bench.lists.named["site.example"] = GAMBLING
    bench.lists.floors.add("other.example")
    bench.filtering.changed()
    await judging(bench).judge_again()
    await asyncio.sleep(0)
    assert [bool(each) for each in cuts] == [False, True]
    assert bench.reasons == ["floor"]


async def test_help_and_our_own_pages_go_on_whatever_becomes_of_a_person() -> None:
    """A10: who is frozen while talking to a help line goes on talking; a page of ours is no site."""
    bench = Bench(lean=True)
    urls = ("https://childline.example/chat", "https://filter.internal/", "https://bets.example/", "")
    cuts = open_at(bench, *urls, "https://site.example/film")
    bench.identity.person = Person("ks2", "own sign-in", standing=Standing.FROZEN)
    await judging(bench).judge_again()
    await asyncio.sleep(0)
    assert [bool(each) for each in cuts] == [False, False, False, False, True]
    assert bench.reasons == ["frozen"], "what was refused before is on record already"


async def test_what_cannot_be_judged_does_not_go_on() -> None:
    """A fault while judging again closes, is counted, and keeps nobody else from being judged (H1)."""
    bench = Bench(lean=True)
    cuts = open_at(bench, "https://site.example/film", "")
    bench.lists.broken = RuntimeError("secret")
    bench.filtering.changed()
    await judging(bench).judge_again()
    assert [bool(each) for each in cuts] == [True, False]
    assert bench.metrics.faults == [(Reason.FAULT, "ongoing")]


async def test_it_is_judged_with_what_passes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look sees that something has changed, for what passes unread and for what is read."""
    bench, asked = Bench(), asyncio.Event()
    monkeypatch.setattr("appliance.gateway.passage.WATCH_SECONDS", 0.001)
    nobody: Any = None

    async def again() -> None:
        asked.set()

    passage = Passage(bench.filtering, bench.recorder, bench.metrics, nobody, ongoing=again)
    watch = asyncio.create_task(passage.watch())
    await asyncio.wait_for(asked.wait(), 5)
    asked.clear()
    bench.filtering.changed()
    await asyncio.wait_for(asked.wait(), 5)
    watch.cancel()


async def endless(origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a socket where one is asked for, and else with a page without an end."""
    head = await reader.readuntil(b"\r\n\r\n")
    origin.heads.append(head)
    if b"websocket" in head.lower():
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05hello"
        )
    elif b"POST" in head:
        pass  # and wait for a body without an end
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await reader.read()


SOCKET = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize(
    ("method", "more"), [("GET", ""), ("GET", SOCKET), ("POST", "Transfer-Encoding: chunked\r\n")]
)
def test_a_stream_a_socket_and_an_upload_end_with_what_allowed_them(
    tmp_path: Path, lean: bool, encrypted: bool, method: str, more: str
) -> None:
    """A game that is open in the break does not go on through the lesson, in either lane."""

    async def scenario(lane: Lane) -> None:
        lane.origin.act = endless
        again = judging(lane.bench)
        reader, writer = await lane.dial()
        writer.write(lane.request("/", more, method=method))
        async with asyncio.timeout(5):
            if method == "GET":
                await reader.readuntil(b"hello")
            while not lane.origin.heads:  # noqa: ASYNC110 - a double that sets no event
                await asyncio.sleep(0.01)
        await again.judge_again()
        assert [row.decision.blocked for row in lane.bench.recorder.kept] in ([], [False])
        lane.bench.lists.named["site.example"] = GAMBLING
        lane.bench.filtering.changed()
        await again.judge_again()
        async with asyncio.timeout(5):
            with suppress(OSError):
                while await reader.read(100):
                    pass
            while len(lane.bench.recorder.kept) < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        reasons = {row.decision.reason for row in lane.bench.recorder.kept}
        assert reasons == {Reason.UNLISTED, Reason.UNACCEPTABLE}
        assert not lane.bench.metrics.faults
        writer.transport.abort()

    play(scenario, tmp_path, lean=lean, encrypted=encrypted)


@pytest.mark.slow
@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_says_how_long_it_is_comes_to_its_end_unless_it_is_illegal(
    tmp_path: Path, lean: bool, method: str
) -> None:
    """An edit of the policy drops no download and no upload; a statutory list does (issue 2, S-18)."""

    async def scenario(lane: Lane) -> None:
        lane.origin.answers[b"/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"
        again = judging(lane.bench)
        reader, writer = await lane.dial()
        writer.write(lane.request("/", "Content-Length: 50\r\n" if method == "POST" else "", method=method))
        async with asyncio.timeout(5):
            await (reader.readuntil(b"hello") if method == "GET" else asyncio.sleep(0.1))
        lane.bench.lists.named["site.example"] = GAMBLING
        lane.bench.filtering.changed()
        await again.judge_again()
        await asyncio.sleep(0.05)
        assert not reader.at_eof()
        assert lane.bench.recorder.kept == []
        lane.bench.lists.floors.add("site.example")
        lane.bench.filtering.changed()
        await again.judge_again()
        async with asyncio.timeout(5):
            with suppress(OSError):
                assert await reader.read() == b""
        await asyncio.sleep(0.01)
        assert Reason.FLOOR in {row.decision.reason for row in lane.bench.recorder.kept}
        writer.transport.abort()

    play(scenario, tmp_path, lean=lean)
