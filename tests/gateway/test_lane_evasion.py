"""Messages that others wrote to get past filters, and real ones, played through both lanes."""

from __future__ import annotations

import asyncio
import json
import lzma
import re
import tarfile
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from appliance.gateway.lane_heads import read_request
from appliance.model.url import UrlRefusedError, parse_url
from tests.gateway.lanes import Lane, play

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
MARKER = b"xq7-forbidden-marker-phrase"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@cache
def evader() -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Return HTTP Evader's raw answers by file, and what is known of each."""
    with tarfile.open(DATA / "http" / "httpevader-responses.tar.xz") as packed:
        files = {
            member.name.partition("/")[2]: found.read()
            for member in packed.getmembers()
            if member.isfile() and (found := packed.extractfile(member)) is not None
        }
    return files, json.loads(files["index.json"])


async def answers(lane: Lane) -> dict[str, bytes]:
    """Return what a client gets of each of HTTP Evader's answers."""
    files, cases = evader()
    names = [f"{page}/{case['file']}" for case in cases for page in ("banned.html", "innocent.html")]

    async def raw(origin: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = await origin.read(reader)
        writer.write(files[path.decode()[1:]])
        await writer.drain()

    lane.origin.act = raw
    turn = asyncio.Semaphore(8)

    async def one(name: str) -> bytes:
        async with turn:
            return await lane.ask(lane.request(f"/{name}", "Connection: close\r\n"), quiet=3.0)

    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def content(answer: bytes) -> bytes:
    """Return what a browser would show of an answer, as far as lengths and chunks go."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 502"):
        return b"our page"
    if b"transfer-encoding" in head.lower():
        return re.sub(rb"(?:^|\r\n)[0-9a-fA-F]+\r\n", b"", body).removesuffix(b"\r\n")
    return body


def test_answers_made_to_evade_come_no_further_than_in_the_full_lane(tmp_path: Path) -> None:
    """Of 399 odd answers and their twins the lean lane passes on none that the other refuses."""
    lean, full = (play(answers, tmp_path, lean=lean, encrypted=False) for lean in (True, False))
    shown = {name for name, got in lean.items() if MARKER in content(got)}
    more = [name for name in shown if MARKER not in content(full[name])]
    assert more == []
    valid = {case["file"] for case in evader()[1] if case["valid"] > 0}
    differ = [
        name
        for name, got in lean.items()
        if name.partition("/")[2] in valid and content(got) != content(full[name])
    ]
    assert differ == []


def messages() -> list[bytes]:
    """Return llhttp's raw requests: the blocks of its documents, with the line ends that they stand for."""
    found = []
    for file in sorted((DATA / "http" / "llhttp" / "request").glob("*.md")):
        for block in re.findall(r"```http\n(.*?)\n```", file.read_text(encoding="utf-8"), re.DOTALL):
            text = re.sub(r"\\\n", "", block).replace("\n", "\r\n")
            raw = text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").replace("\\f", "\f")
            found.append(raw.encode("latin-1", "replace") + b"\r\n\r\n")
    return found


def test_what_llhttp_refuses_is_not_carried(tmp_path: Path) -> None:
    """Each of llhttp's messages gets the same status in both lanes, and reaches a site in both or neither."""

    async def scenario(lane: Lane) -> list[tuple[list[bytes], int]]:
        found = []
        for data in messages():
            before = len(lane.origin.heads)
            got = await lane.ask(data, quiet=0.05) if data.strip() else b""
            found.append((re.findall(rb"HTTP/1\.[01] (\d+)", got)[:1], len(lane.origin.heads) - before))
        return found

    lean, full = (play(scenario, tmp_path, lean=lean, encrypted=False) for lean in (True, False))
    differ = [
        (data, one, other)
        for data, one, other in zip(messages(), lean, full, strict=True)
        # The full lane waits for more after a blank line; the lean one answers at once.
        if one[1] != other[1] or (other[0] and one[0] != other[0])
    ]
    assert differ == []


def test_real_requests_are_plain() -> None:
    """Addresses of real page loads are read as they are, and take the short way."""
    with lzma.open(DATA / "traffic" / "requests.jsonl.xz", "rt") as lines:
        for line in islice(lines, 14_000):
            try:
                url = parse_url(json.loads(line)["url"])
            except UrlRefusedError:
                continue
            query = f"?{url.query}" if url.query else ""
            head = read_request(f"GET {url.path}{query} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
            assert head is not None, url
