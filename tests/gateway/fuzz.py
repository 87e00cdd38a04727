"""What anybody on the network can send, mutated without end: `python -m tests.gateway.fuzz TARGET [options]`.

What lives only here: what must hold of each reader of the door and the lean lane, whatever bytes it gets. The
options are libFuzzer's (`-runs=`, `-max_total_time=`, a folder for what it finds); atheris follows which
lines of ours an input reaches, and keeps what reaches new ones.
"""

from __future__ import annotations

import importlib
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_NOBODY: Any = None
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "http" / "llhttp"
READERS = (
    "appliance.gateway.hello",
    "appliance.gateway.lane_heads",
    "appliance.gateway.lane_bodies",
    "appliance.model.url",
)
SEEDS = {
    "hello": (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", bytes.fromhex("1603010043010000") + bytes(64)),
    "request": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"POST http://a.example:81/x?y=%20 HTTP/1.1\r\nhost:a.example:81\r\nContent-Length: 12\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nX-A: b\r\nTE: trailers\r\n\r\n",
    ),
    "answer": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.0 200\nA: b\n c\n\n",
        b"HTTP/1.1 404 No\r\nTransfer-Encoding: gzip, chunked\r\nConnection: x\r\nX: y\r\n\r\n",
    ),
    "chunks": (b"5\r\nhello\r\n0\r\n\r\n", b"A;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"),
    "connect": (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",),
}


def seeds(target: str) -> Iterator[bytes]:
    """Yield what to begin with: ours, and the raw messages of llhttp's own tests."""
    yield from SEEDS[target]
    kind = {"request": "request", "answer": "response", "chunks": "request"}.get(target, "none")
    for file in sorted((DATA / kind).glob("*.md")):
        for block in re.findall(r"```http\n(.*?)\n```", file.read_text(encoding="utf-8"), re.DOTALL):
            text = re.sub(r"\\\n", "", block).replace("\n", "\r\n").replace("\\r", "\r").replace("\\n", "\n")
            raw = text.encode("latin-1", "replace") + b"\r\n\r\n"
            yield raw.partition(b"\r\n\r\n")[2] if target == "chunks" else raw


def hello(data: bytes) -> None:
    """A ClientHello says the same however it is cut, and is refused or waited for, never a fault."""
    from appliance.gateway.hello import HelloReader, NoHelloError  # noqa: PLC0415 - after it is watched

    def read(*sizes: int) -> object:
        reader, came, found = HelloReader(), bytearray(), None
        for at in sizes:
            came[:] = data[:at]
            try:
                found = reader.read(came)
            except NoHelloError:
                return "refused"
            if found is not None:
                return found
        return found

    whole = read(len(data))
    pieces = read(*range(1, len(data) + 1))
    # What a piece shows already need not wait for the rest; what follows a whole hello is seen only with it.
    assert whole == pieces or "refused" in (whole, pieces), (whole, pieces)


def request(data: bytes) -> None:
    """A head that the lean lane takes means the same to mitmproxy, and is plain when it is written anew."""
    from mitmproxy.net.http import http1  # noqa: PLC0415 - as above

    from appliance.gateway.lane_heads import read_request  # noqa: PLC0415 - as above

    head = read_request(data)
    if head is None:
        return
    lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    other = http1.read_request_head(lines)
    assert (other.method, other.headers["host"]) == (head.method, head.host)
    assert other.data.path == head.path.encode()
    size = http1.expected_http_body_size(other)
    assert size == head.length, (size, head.length)
    again = read_request(head.towards("a.example"))
    assert again is not None
    assert (again.method, again.path, again.length) == (head.method, head.path, head.length)


def answer(data: bytes) -> None:
    """An answer's head is refused, or means the same when it is written anew."""
    from appliance.gateway.lane_heads import BadAnswerError, read_answer  # noqa: PLC0415 - as above

    try:
        head = read_answer(data)
    except BadAnswerError:
        return
    again = read_answer(head.towards(close=False))
    framing = (head.length, head.coding, head.bare("GET"))
    if not head.bare("GET"):
        assert (again.length, again.coding, again.bare("GET")) == framing
    assert b"\n" not in head.towards(close=True).replace(b"\r\n", b"")


def chunks(data: bytes) -> None:
    """A chunked body has the same content and the same end however it is cut."""
    from appliance.gateway.lane_bodies import BadBodyError, Chunked  # noqa: PLC0415 - as above

    def read(size: int) -> tuple[bytes, bytes, bool, bool]:
        body, content, rest, bad = Chunked(), b"", b"", False
        for at in range(0, len(data), size):
            if body.done:
                rest += data[at : at + size]
                continue
            try:
                part, more = body.feed(data[at : at + size])
            except BadBodyError as error:
                content, bad = content + error.before, True
                break
            content, rest = content + part, rest + more
        return content, rest, body.done, bad

    assert read(len(data) or 1) == read(1) == read(7)


def connect(data: bytes) -> None:
    """What the door takes for a CONNECT is one for mitmproxy, to the same place, and has no body."""
    from mitmproxy.net.http import http1  # noqa: PLC0415 - as above

    from appliance.gateway.visitor import _CONNECT, Visitor  # noqa: PLC0415 - as above

    found = _CONNECT.match(data)
    if found is None or Visitor._target(_NOBODY, found) is None:
        return
    other = http1.read_request_head(found[0].removesuffix(b"\r\n\r\n").split(b"\r\n"))
    assert (other.method, other.host, other.port) == ("CONNECT", found[1].decode(), int(found[2]))
    assert http1.expected_http_body_size(other) == 0


TARGETS: dict[str, Callable[[bytes], None]] = {
    "hello": hello,
    "request": request,
    "answer": answer,
    "chunks": chunks,
    "connect": connect,
}


def mutated(target: str, runs: int, seed: int) -> None:
    """Do the same blindly, `runs` times: bytes changed, cut out, doubled, joined."""
    dice = random.Random(seed)
    found = list(seeds(target))
    for _ in range(runs):
        data = bytearray(dice.choice(found))
        for _ in range(dice.randint(1, 4)):
            at, to = sorted(dice.choices(range(len(data) + 1), k=2))
            way = dice.randrange(4)
            if way == 0:
                del data[at : min(to, at + 8)]
            elif way == 1:
                data[at:at] = data[at:to]
            elif way == 2:
                data[at:at] = dice.choice(found)[:to]
            elif at < len(data):
                data[at] = dice.choice(b"\r\n\0 :;,%\xff" + bytes([dice.randrange(256)]))
        TARGETS[target](bytes(data))


def main(target: str, *options: str) -> None:
    """Fuzz one reader; ends with libFuzzer's exit status, 0 when nothing was found."""
    fuzzer: Any = importlib.import_module("atheris")  # not there on every kind of machine
    with fuzzer.instrument_imports(include=list(READERS)):
        for name in READERS:
            __import__(name)
    import appliance.gateway.entrance  # noqa: PLC0415, F401 - loaded before the clock runs

    fuzzer.Setup([target, *options], fuzzer.instrument_func(TARGETS[target]))
    fuzzer.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
