"""Both lanes as they run: a worker, a client that sends bytes as they are, and a site that answers as told.

What lives only here: that site, and the way to play one script through either lane.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import trustme

from appliance.gateway.ca import Authority, ensure_authority
from appliance.gateway.lane_pool import Pool
from appliance.gateway.listen import Listen
from appliance.gateway.loop import GuardedLoop
from appliance.gateway.passage import Passage
from appliance.gateway.reach import Reach
from appliance.gateway.resolver import Resolver
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import Worker
from tests.doubles.addon import Bench
from tests.doubles.running import free_port

HOST = "127.0.0.1"
LOOPBACK = Reach([ipaddress.ip_network("127.0.0.0/8")])
NAMES = ("site.example", "other.example", "bets.example", "forum.example", "forged.example")
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

type Answerer = Callable[["Origin", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@cache
def origin_ca() -> trustme.CA:
    return trustme.CA()


@cache
def forged_ca() -> trustme.CA:
    return trustme.CA()


@dataclass
class Origin:
    """A site. `answers` are raw answers by path; after one with `close` in it the connection ends."""

    port: int = 0
    answers: dict[bytes, bytes] = field(default_factory=dict)
    act: Answerer | None = None
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    encrypted: bool = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            if self.act is not None:
                await self.act(self, reader, writer)
            else:
                while await self.exchange(reader, writer):
                    pass
        writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; False when the connection ends with it."""
        path = await self.read(reader)
        answer = self.answers.get(path, HELLO)
        writer.write(answer)
        await writer.drain()
        return b"close" not in answer.lower()

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request, keep it, and return its path."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        low = head.lower()
        body = b""
        if b"transfer-encoding: chunked" in low:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        elif b"content-length:" in low:
            body = await reader.readexactly(int(low.split(b"content-length:")[1].split(b"\r\n")[0]))
        self.bodies.append(body)
        return head.split(b" ")[1]


@dataclass
class Lane:
    """A running worker with a site behind it; `lean` says which lane it uses."""

    lean: bool
    port: int
    origin: Origin
    bench: Bench
    folder: Path
    pool: Pool | None

    def authority(self, host: str) -> str:
        return f"{host}:{self.origin.port}"

    async def dial(self, host: str = "site.example") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as a client does whose site is encrypted; for a plain site to the proxy itself."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        if self.origin.encrypted:
            writer.write(f"CONNECT {self.authority(host)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            trust = ssl.create_default_context(cafile=self.folder / "ca.pem")
            await writer.start_tls(trust, server_hostname=host)
        return reader, writer

    def request(
        self, path: str = "/", more: str = "", host: str = "site.example", method: str = "GET"
    ) -> bytes:
        """Return a request head as this way to the gateway wants it."""
        name = self.authority(host)
        target = path if self.origin.encrypted else f"http://{name}{path}"
        return f"{method} {target} HTTP/1.1\r\nHost: {name}\r\n{more}\r\n".encode()

    async def ask(self, *parts: bytes, host: str = "site.example", quiet: float = 5.0) -> bytes:
        """Send bytes as they are, and return what comes back until the gateway ends or falls silent.

        Silence is `quiet` seconds after something came, and five before.
        """
        reader, writer = await self.dial(host)
        answer = b""
        with suppress(OSError, TimeoutError, ssl.SSLError):
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0)
            while data := await asyncio.wait_for(reader.read(65536), quiet if answer else 5.0):
                answer += data
        writer.transport.abort()
        return answer


@asynccontextmanager
async def origin_at(*, encrypted: bool) -> AsyncIterator[Origin]:
    origin, context = Origin(encrypted=encrypted), None
    if encrypted:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        forged = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        origin_ca().issue_cert(*NAMES[:-1]).configure_cert(context)
        forged_ca().issue_cert(NAMES[-1]).configure_cert(forged)

        def choose(sslobj: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name == NAMES[-1]:
                sslobj.context = forged

        context.sni_callback = choose
    server = await asyncio.start_server(origin.serve, HOST, 0, ssl=context)
    try:
        origin.port = server.sockets[0].getsockname()[1]
        yield origin
    finally:
        server.close()  # not waited for: a test that failed may have left an answer half said


@asynccontextmanager
async def running(folder: Path, *, lean: bool, encrypted: bool = True) -> AsyncIterator[Lane]:
    """Run a worker and a site on loopback; every name leads to that site."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, GuardedLoop)
    loop.resolver = Resolver(reach=LOOPBACK, static=dict.fromkeys(NAMES, (HOST,)))
    ensure_authority(folder, "Westways")
    extra = folder / "extra.pem"
    extra.write_bytes(origin_ca().cert_pem.bytes())
    roots = write_roots(folder / "roots.pem", extra)
    port, bench = free_port(), Bench(reach=LOOPBACK, lean=lean)
    pool = Pool(LOOPBACK, roots) if lean else None
    bench.doors.passage = Passage(
        bench.filtering, bench.recorder, bench.metrics, loop.connected, "filter.internal", 60
    )
    async with origin_at(encrypted=encrypted) as origin:
        bench.filtering._rules = type(bench.filtering._rules)("school", frozenset({80, 443, origin.port}))
        worker = Worker(
            listen=Listen((HOST, port), None),
            tls=SchoolTls(Authority(folder), folder),
            doors=bench.doors,
            addon=bench.addon,
            roots=roots,
            idle=60,
            lane=bench.lane(pool) if lean else None,
        )
        ready = asyncio.Event()
        task = asyncio.create_task(worker.run(ready.set))
        await asyncio.wait_for(ready.wait(), 5)
        yield Lane(lean, port, origin, bench, folder, pool)
        await bench.doors.servers.update([])
        worker.stop()
        await task
        if pool is not None:
            pool.close()


type Scenario[T] = Callable[[Lane], Awaitable[T]]


def play[T](scenario: Scenario[T], folder: Path, *, lean: bool = True, encrypted: bool = True) -> T:
    """Play a scenario in one lane."""

    async def run() -> T:
        async with running(folder, lean=lean, encrypted=encrypted) as lane:
            return await scenario(lane)

    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        return runner.run(run())
