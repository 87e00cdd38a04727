"""Recorded page loads played through both lanes: the same verdicts, log rows and bytes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pytest

from appliance.gateway.loop import GuardedLoop
from appliance.gateway.resolver import Resolver
from appliance.model.event import Access
from appliance.model.known import Match
from appliance.model.url import UrlRefusedError, parse_url
from tests.gateway.lanes import HOST, LOOPBACK, Lane, Origin, play

TRAFFIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "traffic"
HARS = ("withHtmlContent", "firefox_h2_filamentgroup.com", "capture-har_redirect-loop", "www.bbc.com", "304")
EACH, URLS = 60, 150
"""Requests of each page load, and of the list of addresses, that are played."""

_OURS = {"host", "connection", "proxy-connection", "content-length", "transfer-encoding", "expect", "te"}
_KEPT = ("content-type", "cache-control", "etag", "location", "vary", "set-cookie", "last-modified")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Played:
    """One recorded request, and what its site answered."""

    host: str
    target: str
    method: str
    fields: tuple[str, ...]
    body: bytes
    answer: bytes


def recorded() -> Iterator[Played]:
    """Yield requests of real browsers: with all their headers and their answers, and by address alone."""
    for name in HARS:
        text = lzma.decompress((TRAFFIC / "har" / f"{name}.har.xz").read_bytes())
        entries = json.loads(text.decode("utf-8-sig"))["log"]["entries"]
        yield from islice(filter(None, map(played, entries)), EACH)
    with lzma.open(TRAFFIC / "requests.jsonl.xz", "rt") as lines:
        for line in islice(lines, 0, None, 14_000 // URLS):
            if target := address(json.loads(line)["url"]):
                yield Played(*target, "GET", ("Accept: */*",), b"", answer(200, (), b"hello", chunked=True))


def address(text: str) -> tuple[str, str] | None:
    """Return host and target of an address; None for one that is none of the web's."""
    with contextlib.suppress(UrlRefusedError):
        url = parse_url(text)
        if url.ip is None and url.scheme in ("http", "https"):
            return url.host, f"{url.path}?{url.query}" if url.query else url.path
    return None


def played(entry: dict[str, Any]) -> Played | None:
    """Return one entry of a HAR as a request and its answer."""
    asked, got = entry["request"], entry["response"]
    target = address(asked["url"])
    if target is None or got["status"] < 200:
        return None
    body = (asked.get("postData") or {}).get("text", "").encode()
    fields = [
        f"{each['name']}: {each['value']}"
        for each in asked["headers"]
        if each["name"].lower() not in _OURS and not each["name"].startswith(":") and each["value"].isascii()
    ]
    if body or asked["method"] == "POST":
        fields.append(f"Content-Length: {len(body)}")
    kept = [
        f"{each['name']}: {each['value']}"
        for each in got["headers"]
        if each["name"].lower() in _KEPT and each["value"].isascii() and "\n" not in each["value"]
    ]
    content = (got["content"].get("text") or "x" * min(got["content"].get("size") or 0, 50_000)).encode()
    chunked = any(each["name"].lower() == "transfer-encoding" for each in got["headers"])
    raw = answer(got["status"], kept, content, chunked=chunked)
    return Played(*target, asked["method"], tuple(fields), body, raw)


def answer(status: int, fields: Any, body: bytes, *, chunked: bool) -> bytes:
    """Return an answer as its site may have sent it."""
    if status in (204, 304):
        return "\r\n".join([f"HTTP/1.1 {status} X", *fields, "", ""]).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = "\r\n".join([f"HTTP/1.1 {status} X", *fields, framing, "", ""]).encode()
    if not chunked:
        return head + body
    parts = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


class _Wire:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


type Outcome = tuple[int, tuple[tuple[str, str], ...], bytes]


def outcome(data: bytes, method: str) -> Outcome:
    """Return status, headers that matter and body, as a browser reads them."""
    read = http.client.HTTPResponse(_Wire(data), method=method)  # type: ignore[arg-type]  # all that it asks for
    read.begin()
    fields = tuple(sorted((name.lower(), text) for name, text in read.getheaders() if name.lower() in _KEPT))
    blocked = read.status == 403
    return read.status, () if blocked else fields, b"" if blocked else read.read()


async def all_played(lane: Lane) -> tuple[list[Outcome], list[Any], list[tuple[bytes, bytes]]]:
    """Play everything: on one connection for each run of requests to a host, as browsers do."""
    script = list(recorded())
    loop = asyncio.get_running_loop()
    assert isinstance(loop, GuardedLoop)
    hosts = sorted({each.host for each in script})
    loop.resolver = Resolver(reach=LOOPBACK, static=dict.fromkeys(hosts, (HOST,)))
    for number, host in enumerate(hosts):
        if number % 7 == 0:  # every seventh site is one that nobody may see
            lane.bench.lists.named[host] = (Match("gambling-list", "7", host, ("gambling",)),)
    answers = iter([each.answer for each in script if each.host not in lane.bench.lists.named])

    async def in_order(origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await origin.read(reader):
            writer.write(next(answers))

    lane.origin.act = in_order
    outcomes: list[Outcome] = []
    for host, group in groupby(script, key=lambda each: each.host):
        reader, writer = await asyncio.open_connection(HOST, lane.port)
        for each in group:
            fields = "".join(f"{field}\r\n" for field in each.fields)
            writer.write(lane.request(each.target, fields, host, each.method) + each.body)
            outcomes.append(outcome(await whole(reader, each.method), each.method))
        writer.close()
        await asyncio.sleep(0)
    rows = [row_of(each, lane.origin.port) for each in lane.bench.recorder.kept]
    sent = [(_tidy(head), body) for head, body in zip(lane.origin.heads, lane.origin.bodies, strict=True)]
    return outcomes, rows, sent


def row_of(row: Access, port: int) -> tuple[object, ...]:
    """Return what the log has of an access; the port is another each time."""
    decision = row.decision
    received = 0 if decision.blocked else row.bytes_received
    what = (row.host, str(row.url).replace(f":{port}/", "/"), row.method, row.search_term)
    return (*what, decision.action, decision.reason, decision.list, row.status, row.bytes_sent, received)


def _tidy(head: bytes) -> bytes:
    # The two write the same fields, each in an order and a spelling of its own.
    first, *lines = head.rstrip().split(b"\r\n")
    kept = [line.partition(b":") for line in lines]
    return first + b"".join(
        sorted(
            name.lower() + value.strip()
            for name, _, value in kept
            if name.lower() not in (b"host", b"connection", b"content-length")
        )
    )


async def whole(reader: asyncio.StreamReader, method: str) -> bytes:
    """Read one answer off a connection that goes on."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    low, status = head.lower(), int(head.split(b" ")[1])
    if method == "HEAD" or status in (204, 304):
        return head
    if b"\r\ntransfer-encoding:" in low:
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += (line := await reader.readuntil(b"\r\n"))
            body += await reader.readexactly(int(line, 16) + 2)
        return head + body
    size = int(low.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
    return head + await reader.readexactly(size)


def test_real_page_loads_end_alike_in_both_lanes(tmp_path: Path) -> None:
    """Status, headers, body, log row, and what the site was sent: no pupil can tell which lane it was."""
    lean, full = (play(all_played, tmp_path, lean=lean, encrypted=False) for lean in (True, False))
    assert len(lean[0]) > 200
    assert {200, 403, 304} <= {status for status, _, _ in lean[0]}
    pairs: list[tuple[Any, Any]] = list(zip(lean, full, strict=True))
    for one, other in pairs:
        differ = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
        assert differ[:3] == []
