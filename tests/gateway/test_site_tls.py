from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import override

import pytest
import trustme

from appliance.gateway.lane_pool import context_of
from appliance.gateway.site_tls import SiteTls
from tests.gateway.lanes import HOST, forged_ca, origin_ca

BIG = bytes(range(256)) * 8192  # 2 MB

type Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class User(asyncio.Protocol):
    """Whoever uses the connection, and what it hears."""

    def __init__(self) -> None:
        self.found = b""
        self.heard: list[str] = []
        self.transport: asyncio.Transport | None = None
        self.over = asyncio.Event()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.heard.append("made")

    @override
    def data_received(self, data: bytes) -> None:
        self.found += data

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append("lost")
        self.over.set()

    @override
    def pause_writing(self) -> None:
        self.heard.append("full")

    @override
    def resume_writing(self) -> None:
        self.heard.append("free")


def server_context(ca: trustme.CA, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("site.example").configure_cert(context)
    context.maximum_version = newest
    return context


async def reached(
    folder: Path,
    answering: Answering,
    ca: trustme.CA | None = None,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    name: str = "site.example",
) -> tuple[User, SiteTls, asyncio.Server]:
    """Connect to a real server that speaks as `answering` does."""
    roots = folder / "roots.pem"
    roots.write_bytes(origin_ca().cert_pem.bytes())
    server = await asyncio.start_server(answering, HOST, 0, ssl=server_context(ca or origin_ca(), newest))
    user = User()
    secure = SiteTls(context_of(roots), name, user)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: secure, *server.sockets[0].getsockname()[:2])
    try:
        await asyncio.wait_for(secure.ready, 10)
    except BaseException:
        server.close()
        raise
    return user, secure, server


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - many things can make it true
            await asyncio.sleep(0.01)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


@pytest.mark.slow
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_is_sent_arrives_and_what_comes_is_told(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    """Megabytes in both directions, in many records, with nothing lost or out of place."""
    user, secure, server = await reached(tmp_path, echo, newest=newest)
    for at in range(0, len(BIG), 100_000):
        secure.write(BIG[at : at + 100_000])
        await asyncio.sleep(0)
    await until(lambda: len(user.found) >= len(BIG))
    assert user.found == BIG
    assert user.heard[0] == "made"
    assert secure.get_extra_info("ssl_object").version() == newest.name.replace("_", ".")
    secure.close()
    secure.close()
    secure.write(b"too late")
    await asyncio.wait_for(user.over.wait(), 5)
    assert secure.is_closing()
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize(("forged", "name"), [(True, "site.example"), (False, "other.example")])
async def test_a_certificate_that_does_not_fit_ends_it_before_anything_is_said(
    tmp_path: Path, forged: bool, name: str
) -> None:
    """Chain and name are verified, and whoever would use the connection never sees it (H16)."""
    with pytest.raises(ssl.SSLCertVerificationError):
        await reached(tmp_path, echo, forged_ca() if forged else None, name=name)


@pytest.mark.slow
async def test_a_site_that_ends_is_told_once_with_all_that_came_before(tmp_path: Path) -> None:
    """An orderly end of the encryption is the end of the connection, after the last byte."""

    async def short(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"all there is")
        writer.close()

    user, _, server = await reached(tmp_path, short)
    await asyncio.wait_for(user.over.wait(), 5)
    assert (user.found, user.heard) == (b"all there is", ["made", "lost"])
    server.close()


@pytest.mark.slow
async def test_a_site_that_leaves_in_the_middle_of_the_agreement_is_an_error() -> None:
    """A connection that ends early is told as that, and not as one that stands."""
    listening = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
    secure = SiteTls(ssl.create_default_context(), "site.example", User())
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: secure, *listening.sockets[0].getsockname()[:2])
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(secure.ready, 5)
    listening.close()


@pytest.mark.slow
async def test_rubbish_instead_of_encryption_is_an_error_too() -> None:
    """A site that speaks something else on that port is not waited for."""

    def rubbish(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(rubbish, HOST, 0)
    secure = SiteTls(ssl.create_default_context(), "site.example", User())
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: secure, *listening.sockets[0].getsockname()[:2])
    with pytest.raises(ssl.SSLError):
        await asyncio.wait_for(secure.ready, 5)
    listening.close()


@pytest.mark.slow
async def test_a_site_that_takes_nothing_is_told_to_whoever_writes(tmp_path: Path) -> None:
    """Back-pressure: whoever sends hears that it has to wait, and when it need not any more (H36)."""
    free = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        with suppress(OSError):  # it is given up in the middle
            while await reader.read(1 << 20):
                pass
        writer.close()

    user, secure, server = await reached(tmp_path, slowly)
    for _ in range(20):
        secure.write(BIG)
    assert user.heard == ["made", "full"]
    secure.pause_reading()
    secure.resume_reading()
    free.set()
    await until(lambda: user.heard[-1] == "free")
    secure.abort()
    await asyncio.wait_for(user.over.wait(), 5)
    server.close()


@pytest.mark.slow
async def test_what_has_ended_is_freed_at_once(tmp_path: Path) -> None:
    """A session of OpenSSL is tens of kilobytes that no collector counts: none waits to be found (H20)."""
    gc.collect()
    gc.disable()
    try:
        user, secure, server = await reached(tmp_path, echo)
        gone = weakref.ref(secure)
        secure.close()
        await asyncio.wait_for(user.over.wait(), 5)
        user.transport = None
        del secure
        await until(lambda: gone() is None)
    finally:
        gc.enable()
    server.close()


@pytest.mark.slow
async def test_an_attempt_that_is_given_up_leaves_nobody_waiting() -> None:
    """A client that leaves while its site is being reached leaves nothing behind."""
    user = User()
    secure = SiteTls(ssl.create_default_context(), "site.example", user)
    secure.abort()
    assert secure.ready.cancelled()
    assert secure.is_closing()
    secure.connection_lost(None)
    assert user.heard == []
