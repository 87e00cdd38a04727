from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.gateway import heads, lane_carriage
from appliance.model.decision import Reason
from tests.gateway.lanes import HELLO, Lane, Origin, play

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\nX-T: 1\r\n\r\n"
)
WHOLE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is"
PAGES = {
    b"/chunked": CHUNKED,
    b"/whole": WHOLE,
    b"/empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/same": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
    b"/twice": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello, close",
    b"/both": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nclose",
    b"/junk": b"no HTTP, and close\r\n\r\n",
    b"/short": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nX: close\r\n\r\nhello",
    b"/badchunk": b"HTTP/1.1 200 OK\r\nX: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n",
    b"/none": b"",
    b"/return": b"HTTP/1.1 200 OK\r\nX: close\rContent-Length: 9\r\nContent-Length: 5\r\n\r\nhello",
    b"/nul": b"HTTP/1.1 200 OK\r\nX: close\0\r\nContent-Length: 5\r\n\r\nhello",
    b"/low": b"HTTP/1.1 099 OK\r\nX: close\r\nContent-Length: 5\r\n\r\nhello",
    b"/switch": b"HTTP/1.1 101 close\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"/blank": b"\r\n\r\nHTTP/1.1 200 OK\r\nX: close\r\nContent-Length: 5\r\n\r\nhello",
    b"/folded": b"HTTP/1.1 200 OK\r\nX: close\r\n and more\r\nContent-Length: 5\r\n\r\nhello",
}


def seen(answer: bytes) -> list[tuple[int, bytes]]:
    """Return statuses and bodies of all answers; pages without what differs each time."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        status = int(head[9:12])
        low = head.lower()
        size = re.search(rb"\r\ncontent-length: (\d+)", low)
        if status < 200 or status in (204, 304):
            body, answer = b"", rest
        elif b"chunked" in low:
            body, _, answer = rest.partition(b"\r\n0\r\n\r\n")
            body = re.sub(rb"(?:\r\n|^)[0-9a-f]+\r\n", b"", body)
        elif size:
            body, answer = rest[: int(size[1])], rest[int(size[1]) :]
        else:
            body, answer = rest, b""
        found.append((status, b"page" if body.startswith(b"<!doctype") else body))
    return found


async def script(lane: Lane, name: str) -> tuple[Any, ...]:
    host, make = SCRIPTS[name]
    lane.origin.answers.update(PAGES)
    for kept in (lane.bench.recorder.kept, lane.origin.bodies, lane.bench.metrics.faults):
        kept.clear()
    lane.bench.metrics.unfinished = 0
    answer = await lane.ask(make(lane), host=host, quiet=0.3)
    await asyncio.sleep(0.01)  # a client that has left is recorded a moment later
    rows = [
        (row.decision.reason, row.host, row.method, row.status, row.bytes_sent, row.bytes_received, row.url)
        for row in lane.bench.recorder.kept
    ]
    cut = [(*row[:-1], re.sub(r":\d+", "", row[-1] or "")) for row in rows]
    metrics = lane.bench.metrics
    return seen(answer), cut, list(lane.origin.bodies), metrics.unfinished, list(metrics.faults)


SITE = "site.example"
LAST = "Connection: close\r\n"
SCRIPTS: dict[str, tuple[str, Callable[[Lane], bytes]]] = {
    "a page": (SITE, lambda lane: lane.request()),
    "several, one after the other": (
        SITE,
        lambda lane: (
            lane.request("/chunked") + lane.request("/empty") + lane.request("/a") + lane.request("/", LAST)
        ),
    ),
    "a page that ends with its connection": (SITE, lambda lane: lane.request("/whole")),
    "nothing new": (SITE, lambda lane: lane.request("/same") + lane.request()),
    "a head alone": (SITE, lambda lane: lane.request(method="HEAD", more=LAST)),
    "an upload": (
        SITE,
        lambda lane: lane.request("/up", "Content-Length: 5\r\n", method="POST") + b"fives" + lane.request(),
    ),
    "an upload in chunks": (
        SITE,
        lambda lane: (
            lane.request("/up", "Transfer-Encoding: chunked\r\n", method="PUT")
            + b"2\r\nab\r\n1;x\r\nc\r\n0\r\nT: 1\r\n\r\n"
        ),
    ),
    "an upload that asks first": (
        SITE,
        lambda lane: (
            lane.request("/up", "Content-Length: 2\r\nExpect: 100-continue\r\n", method="POST") + b"ab"
        ),
    ),
    "an upload with a bad chunk": (
        SITE,
        lambda lane: (
            lane.request("/up", "Transfer-Encoding: chunked\r\n", method="POST") + b"2\r\nab\r\n-1\r\n"
        ),
    ),
    "a blocked site": ("bets.example", lambda lane: lane.request(host="bets.example")),
    "a watched site": ("forum.example", lambda lane: lane.request("/", LAST, host="forum.example")),
    "another site than the encryption names": (
        SITE,
        lambda lane: lane.request(host="other.example", more=LAST),
    ),
    "a blocked site within another's connection": (
        SITE,
        lambda lane: lane.request() + lane.request(host="bets.example", more=LAST),
    ),
    "a tunnel to nowhere": (SITE, lambda lane: lane.request(method="CONNECT", more=LAST)),
    "another protocol's beginning": (SITE, lambda lane: lane.request(method="PRI", more=LAST)),
    "two hosts": (SITE, lambda lane: lane.request(more="Host: other.example\r\n")),
    "two framings": (
        SITE,
        lambda lane: lane.request(more="Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    ),
    "a folded field": (SITE, lambda lane: lane.request(more="A: b\r\n c\r\n")),
    "an old client": (SITE, lambda lane: lane.request().replace(b"HTTP/1.1", b"HTTP/1.0")),
    "no HTTP": (SITE, lambda _: b"SSH-2.0-x\r\n\r\n"),
    "a head that never ends": (SITE, lambda lane: lane.request() + lane.request()[:-2]),
    "line feeds alone": (SITE, lambda lane: lane.request(more=LAST).replace(b"\r\n", b"\n")),
    "the form of a page": (
        SITE,
        lambda lane: (
            lane.request("/.well-known/school-gateway/review", "Content-Length: 1\r\n", method="POST") + b"x"
        ),
    ),
}


def of(path: bytes) -> Callable[[Lane], bytes]:
    return lambda lane: lane.request(path.decode(), LAST)


BROKEN = (b"/twice", b"/both", b"/junk", b"/short", b"/badchunk")
for broken in (*BROKEN, b"/return", b"/nul", b"/low", b"/switch", b"/blank", b"/folded"):
    SCRIPTS[f"a site that answers {broken[1:].decode()}"] = (SITE, of(broken))


@pytest.mark.slow
@pytest.mark.parametrize("encrypted", [True, False])
def test_one_journey_two_lanes(tmp_path: Path, encrypted: bool) -> None:
    """Whatever a client says, both lanes decide, record and carry the same: the lean one is only quicker."""

    async def scenario(lane: Lane) -> dict[str, tuple[Any, ...]]:
        return {name: await script(lane, name) for name in SCRIPTS}

    lean, full = (play(scenario, tmp_path, lean=lean, encrypted=encrypted) for lean in (True, False))
    for name in SCRIPTS:
        assert lean[name] == full[name], name


@pytest.mark.slow
def test_a_site_s_announcements_come_before_its_answer(tmp_path: Path) -> None:
    """100 and 103 are passed over, as in the full lane; a flood of them is no answer."""

    async def scenario(lane: Lane) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        lane.origin.answers[b"/early"] = b"HTTP/1.1 100 Continue\r\n\r\n" + early + HELLO
        lane.origin.answers[b"/flood"] = early * (heads.MOST_INTERIM + 1) + HELLO
        lane.origin.answers[b"/most"] = early * heads.MOST_INTERIM + HELLO
        answer = await lane.ask(lane.request("/early", LAST))
        assert [status for status, _ in seen(answer)] == [200]
        assert (await lane.ask(lane.request("/flood", LAST))).startswith(b"HTTP/1.1 502 ")
        assert (await lane.ask(lane.request("/most", LAST))).startswith(b"HTTP/1.1 200 ")

    for lean in (True, False):
        play(scenario, tmp_path, lean=lean)


@pytest.mark.slow
def test_connections_to_a_site_are_kept_for_the_next_client(tmp_path: Path) -> None:
    """A new client pays for no new connection to a site that another one has just left (issue 4)."""

    async def scenario(lane: Lane) -> None:
        for _ in range(3):
            assert (await lane.ask(lane.request(more=LAST))).endswith(b"hello")
        assert lane.origin.connections == 1
        assert lane.pool is not None
        assert lane.pool.idle == 1

    play(scenario, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False)])
def test_a_kept_connection_that_has_ended_costs_no_page(tmp_path: Path, method: str, again: bool) -> None:
    """What may be sent twice is, once; what may not is answered with our page, and sent no second time."""

    async def once(origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await origin.exchange(reader, writer)
        await origin.read(reader)  # and says no more

    async def scenario(lane: Lane) -> None:
        lane.origin.act = once
        more = LAST + ("Content-Length: 2\r\n" if method == "POST" else "")
        await lane.ask(lane.request(more=LAST))
        answer = await lane.ask(lane.request(method=method, more=more) + (b"ab" if method == "POST" else b""))
        assert answer.startswith(b"HTTP/1.1 200" if again else b"HTTP/1.1 502")
        assert len(lane.origin.heads) == (3 if again else 2)

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_connection_that_sends_more_than_its_answer_is_not_used_again(tmp_path: Path) -> None:
    """Response smuggling: bytes after an answer must not become the answer to another pupil's request."""

    async def scenario(lane: Lane) -> None:
        lane.origin.answers[b"/more"] = HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
        assert (await lane.ask(lane.request("/more", LAST))).endswith(b"hello")
        assert (await lane.ask(lane.request(more=LAST))).endswith(b"hello")
        assert lane.origin.connections == 2

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_request_within_a_body_gets_no_other_pupil_an_answer(tmp_path: Path) -> None:
    """A site that reads no bodies answers twice: the second answer is nobody's, however late it comes."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: site.example\r\n\r\n"

    async def reads_no_bodies(
        origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            origin.heads.append(head)
            if b"GET /hidden" in head:  # answered only once somebody else asks
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1)
                writer.write(HELLO.replace(b"hello", b"wrong"))
            writer.write(HELLO)

    async def scenario(lane: Lane) -> None:
        lane.origin.act = reads_no_bodies
        for method in ("POST", "GET"):
            more = f"Content-Length: {len(hidden)}\r\n"
            first = await lane.ask(lane.request(method=method, more=more) + hidden, quiet=0.05)
            assert first.endswith(b"hello")
            assert (await lane.ask(lane.request(more=LAST))).endswith(b"hello")

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_request_that_cannot_be_judged_is_closed(tmp_path: Path) -> None:
    """A fault in the lists blocks in the lean lane as in the other, and is counted (H1)."""

    async def scenario(lane: Lane) -> None:
        lane.bench.lists.broken = RuntimeError("secret")
        answer = await lane.ask(lane.request(more=LAST))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"secret" not in answer
        assert Reason.FAULT in {reason for reason, _ in lane.bench.metrics.faults}
        assert lane.origin.heads == []

    play(scenario, tmp_path, encrypted=False)


@pytest.mark.slow
def test_a_crash_in_the_lane_cuts_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks on the short way, the client is cut and nothing more passes (H1, H29)."""

    def crash(*_: object) -> None:
        raise RuntimeError("secret body")

    async def scenario(lane: Lane) -> None:
        reader, writer = await lane.dial()
        writer.write(lane.request())
        await reader.readuntil(b"hello")
        monkeypatch.setattr(lane_carriage.Carriage, "feed", crash)
        writer.write(lane.request())
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert (Reason.FAULT, "connection") in lane.bench.metrics.faults
        assert len(lane.origin.heads) == 1
        writer.close()

    play(scenario, tmp_path, encrypted=False)


@pytest.mark.slow
def test_a_head_that_drips_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never finishes its head holds no connection for ever, on the short way either."""
    monkeypatch.setattr(lane_carriage, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.05)

    async def scenario(lane: Lane) -> None:
        answer = await lane.ask(lane.request(), b"GET / HTT")
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1 408 " in answer
        assert lane.bench.metrics.unfinished == 1

    play(scenario, tmp_path)
