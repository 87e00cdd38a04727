from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import hpack.hpack
import pytest
import trustme

from appliance.gateway import handler, heads
from appliance.gateway.ca import Authority, ensure_authority
from appliance.gateway.listen import Listen, WorkerError
from appliance.gateway.loop import GuardedLoop
from appliance.gateway.passage import Passage
from appliance.gateway.reach import Reach
from appliance.gateway.resolver import Resolver
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import LAG_SECONDS, Worker, quiet_libraries, watch_lag
from appliance.model.decision import Reason
from tests.doubles.addon import Bench
from tests.doubles.running import free_port

HOST = "127.0.0.1"
LOOPBACK = Reach([ipaddress.ip_network("127.0.0.0/8")])
ORIGIN_CA = trustme.CA()
CERTIFICATES = {"site.example": ORIGIN_CA, "bets.example": ORIGIN_CA, "forged.example": trustme.CA()}


async def nowhere(_host: str, _port: int) -> socket.socket:
    raise OSError("no network")


@dataclass
class Origin:
    """A site that keeps what it was sent."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.seen.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            await writer.drain()
        writer.close()


@dataclass
class Lab:
    """A running worker with an origin behind it."""

    port: int
    origin: Origin
    bench: Bench
    folder: Path
    worker: Worker

    async def ask(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send raw bytes to the proxy and return all that comes back until it closes."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        answer = b""
        with suppress(OSError):
            answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def ask_encrypted(self, host: str, name: str | None = None) -> bytes:
        """Open a tunnel, check the certificate against the school's CA, and ask for a page within."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.write(f"CONNECT {host}:{self.origin.port} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        trust = ssl.create_default_context(cafile=self.folder / "ca.pem")
        await writer.start_tls(trust, server_hostname=host)
        writer.write(f"GET / HTTP/1.1\r\nHost: {name or host}\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer


@asynccontextmanager
async def origin_at(certificate_of: str = "") -> AsyncIterator[Origin]:
    origin, context = Origin(), None
    if certificate_of:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CERTIFICATES[certificate_of].issue_cert(certificate_of).configure_cert(context)
    async with await asyncio.start_server(origin.serve, HOST, 0, ssl=context) as server:
        origin.port = server.sockets[0].getsockname()[1]
        yield origin


@asynccontextmanager
async def running(folder: Path, certificate_of: str = "", *, transparent: bool = False) -> AsyncIterator[Lab]:
    """Run a worker and an origin on loopback; every name leads to that origin."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, GuardedLoop)
    loop.resolver = Resolver(reach=LOOPBACK, static=dict.fromkeys(CERTIFICATES, (HOST,)))
    ensure_authority(folder, "Westways")
    extra = folder / "extra.pem"
    extra.write_bytes(ORIGIN_CA.cert_pem.bytes())
    port, bench = free_port(), Bench(transparent=transparent, reach=LOOPBACK)
    bench.doors.passage = Passage(
        bench.filtering, bench.recorder, bench.metrics, loop.connected, "filter.internal", 60
    )
    async with origin_at(certificate_of) as origin:
        bench.filtering._rules = type(bench.filtering._rules)("school", frozenset({80, 443, origin.port}))
        worker = Worker(
            listen=Listen(None, (HOST, port)) if transparent else Listen((HOST, port), None),
            tls=SchoolTls(Authority(folder), folder),
            doors=bench.doors,
            addon=bench.addon,
            roots=write_roots(folder / "roots.pem", extra),
            idle=60,
        )
        ready = asyncio.Event()
        task = asyncio.create_task(worker.run(ready.set))
        await asyncio.wait_for(ready.wait(), 5)
        yield Lab(port, origin, bench, folder, worker)
        await bench.doors.servers.update([])
        worker.stop()
        await task


type Scenario = Callable[[Lab], Awaitable[None]]


def play(scenario: Scenario, folder: Path, certificate_of: str = "", *, transparent: bool = False) -> None:
    async def run() -> None:
        async with running(folder, certificate_of, transparent=transparent) as lab:
            await scenario(lab)

    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(run())


def get(lab: Lab, host: str, more: str = "") -> bytes:
    name = f"{host}:{lab.origin.port}"
    return f"GET http://{name}/ HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n{more}\r\n".encode()


@pytest.mark.slow
def test_an_allowed_page_comes_through(tmp_path: Path) -> None:
    """A lesson's page arrives, and its site is asked in origin form under the judged name."""

    async def scenario(lab: Lab) -> None:
        answer = await lab.ask(get(lab, "SITE.example."))
        assert answer.endswith(b"\r\n\r\nhello")
        assert f"\r\nhost: site.example:{lab.origin.port}\r\n".encode() in lab.origin.seen[0].lower()
        assert lab.origin.seen[0].startswith(b"GET / HTTP/1.1\r\n")

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_blocked_page_is_answered_and_its_site_never_contacted(tmp_path: Path) -> None:
    """The block page comes from the gateway alone, with its event on record (S-40)."""

    async def scenario(lab: Lab) -> None:
        answer = await lab.ask(get(lab, "bets.example"))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert lab.origin.connections == 0
        assert lab.bench.reasons == ["unacceptable"]

    play(scenario, tmp_path)


@pytest.mark.slow
def test_an_encrypted_page_comes_through_under_the_school_s_certificate(tmp_path: Path) -> None:
    """HTTPS is opened, judged and carried on, and the browser sees a certificate that it trusts."""

    async def scenario(lab: Lab) -> None:
        assert (await lab.ask_encrypted("site.example")).endswith(b"hello")
        front = await lab.ask_encrypted("site.example", "bets.example")
        assert front.startswith(b"HTTP/1.1 421 ")

    play(scenario, tmp_path, "site.example")


@pytest.mark.slow
def test_an_encrypted_block_shows_its_page_and_contacts_nobody(tmp_path: Path) -> None:
    """A blocked HTTPS site is refused with a page, before a single byte went to it (H13)."""

    async def scenario(lab: Lab) -> None:
        assert (await lab.ask_encrypted("bets.example")).startswith(b"HTTP/1.1 403 ")
        assert lab.origin.connections == 0

    play(scenario, tmp_path, "bets.example")


@pytest.mark.slow
def test_a_forged_certificate_is_our_page_and_no_way_through(tmp_path: Path) -> None:
    """A site that cannot prove its name is refused, and not a byte of a request reaches it (H16)."""

    async def scenario(lab: Lab) -> None:
        answer = await lab.ask_encrypted("forged.example")
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert lab.origin.seen == []
        assert lab.bench.reasons == ["upstream_certificate"]

    play(scenario, tmp_path, "forged.example")


def test_junk_is_answered_and_counted(tmp_path: Path) -> None:
    """What is no HTTP gets a clear answer, and is on record under its address."""

    async def scenario(lab: Lab) -> None:
        assert (await lab.ask(b"SSH-2.0-OpenSSH\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert lab.bench.metrics.unfinished == 1
        assert lab.bench.reasons == ["malformed"]

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_connection_that_opens_for_ever_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that drips bytes without ever finishing a request does not hold its place."""
    monkeypatch.setattr(handler, "OPENING_SECONDS", 0.02)

    async def scenario(lab: Lab) -> None:
        assert await lab.ask(b"GET / ", b"HTTP/1.1\r\n", b"Host: a\r\n\r\n", pause=0.03) == b""
        assert lab.bench.metrics.unfinished == 1

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_connection_opened_in_advance_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers open connections before they need them; the first request on an old one is served."""
    monkeypatch.setattr(handler, "OPENING_SECONDS", 0.02)

    async def scenario(lab: Lab) -> None:
        assert b"hello" in await lab.ask(b"", get(lab, "site.example"), pause=0.05)

    play(scenario, tmp_path)


def test_a_crash_cuts_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the layers fail, their connection ends at once instead of hanging, and is counted (H29, H30)."""

    def crash(*_: object) -> None:
        raise RuntimeError("secret body")

    monkeypatch.setattr(heads.GatewayHttp1Server, "read_headers", crash)

    async def scenario(lab: Lab) -> None:
        assert await lab.ask(get(lab, "site.example")) == b""
        assert lab.bench.metrics.faults == [(Reason.FAULT, "connection")]
        assert lab.origin.connections == 0

    play(scenario, tmp_path)


@pytest.mark.slow
def test_even_a_failure_to_close_opens_nothing(tmp_path: Path) -> None:
    """When judging and closing both fail, the request stands still: no answer, and no site contacted (H1)."""

    def fail(*_: object) -> None:
        raise RuntimeError("close")

    async def scenario(lab: Lab) -> None:
        lab.bench.lists.broken = RuntimeError("judge")
        lab.bench.addon.close = fail  # type: ignore[method-assign,assignment]  # the fault that is tested
        reader, writer = await asyncio.open_connection(HOST, lab.port)
        writer.write(get(lab, "site.example"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert lab.bench.metrics.faults == [(Reason.FAULT, "requestheaders")]
        assert lab.origin.connections == 0
        writer.close()

    play(scenario, tmp_path)


@pytest.mark.slow
def test_nobody_connects_to_the_transparent_port_itself(tmp_path: Path) -> None:
    """Only redirected connections are taken; anything else would go round in circles (H26)."""

    async def scenario(lab: Lab) -> None:
        assert await lab.ask(get(lab, "site.example")) == b""
        assert lab.bench.metrics.decisions == []

    play(scenario, tmp_path, transparent=True)


@pytest.mark.slow
def test_the_worker_runs_with_what_is_needed_and_no_more(tmp_path: Path) -> None:
    """No script, no onboarding page, no relaying, no second port: the options that would open are shut."""

    async def scenario(lab: Lab) -> None:
        master = lab.worker._master
        assert [addon.name for addon in master.addons.chain] == [
            "proxyserver",
            "nextlayer",
            "tlsconfig",
            "gateway",
        ]
        chosen = {name: getattr(master.options, name) for name in ("ssl_insecure", "rawtcp", "http3")}
        assert chosen == {"ssl_insecure": False, "rawtcp": False, "http3": False}
        assert master.options.connection_strategy == "lazy"
        assert master.options.validate_inbound_headers is True
        assert (master.options.stream_large_bodies, master.options.body_size_limit) == (None, None)
        assert (master.options.ignore_hosts, master.options.allow_hosts) == ([], [])
        assert master.options.tcp_timeout == 60

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_port_that_is_taken_is_an_error_in_words(tmp_path: Path) -> None:
    """A second program on the port stops the start with a sentence, not with a traceback."""

    async def scenario() -> None:
        async with await asyncio.start_server(lambda _r, w: w.close(), HOST, 0) as other:
            port = other.sockets[0].getsockname()[1]
            bench = Bench()
            bench.doors.passage = Passage(bench.filtering, bench.recorder, bench.metrics, nowhere)
            ensure_authority(tmp_path, "Westways")
            worker = Worker(
                listen=Listen((HOST, port), None),
                tls=SchoolTls(Authority(tmp_path), tmp_path),
                doors=bench.doors,
                addon=bench.addon,
                roots=write_roots(tmp_path / "roots.pem", None),
                idle=60,
            )
            with pytest.raises(WorkerError, match="in use"):
                await worker.run(lambda: None)

    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(scenario())


def test_a_worker_without_the_filter_does_not_start(tmp_path: Path) -> None:
    """A chain in which our addon is missing is refused before a port is opened (H3)."""

    class Stranger:
        name = "somebody-else"

    async def scenario() -> None:
        ensure_authority(tmp_path, "Westways")
        with pytest.raises(WorkerError, match="not in mitmproxy's chain"):
            Worker(
                listen=Listen((HOST, 0), None),
                tls=SchoolTls(Authority(tmp_path), tmp_path),
                doors=Bench().doors,
                addon=Stranger(),  # type: ignore[arg-type]  # that is the point
                roots=tmp_path / "roots.pem",
                idle=60,
            )

    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(scenario())


async def test_the_lag_of_the_loop_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that falls behind shows it before pupils notice (H19)."""
    monkeypatch.setattr("appliance.gateway.worker.LAG_SECONDS", 0.01)
    told: list[float] = []
    task = asyncio.create_task(watch_lag(told.append))
    await asyncio.sleep(0.05)
    task.cancel()
    assert LAG_SECONDS == 0.5
    assert told
    assert all(lag >= 0 for lag in told)


def test_libraries_that_print_what_passes_are_silenced() -> None:
    """Nothing that a pupil sends or reads stands in the gateway's own log (H30)."""
    names = ("mitmproxy", "hpack", "h2", "asyncio")
    before = {name: logging.getLogger(name).level for name in names}
    quiet_libraries()
    assert not any(logging.getLogger(name).isEnabledFor(logging.ERROR) for name in names)
    hpack.hpack.log.debug("what a pupil sent")
    assert not hpack.hpack.log.isEnabledFor(logging.ERROR)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
