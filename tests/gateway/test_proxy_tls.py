from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appliance.gateway.ca import Authority, ensure_authority
from appliance.gateway.entrance import Entrance
from appliance.gateway.listen import listening
from appliance.gateway.proxy_tls import InnerWriter, ProxyTls
from appliance.gateway.translate import Tunnel
from tests.gateway.test_passage import Stand

HOST = "127.0.0.1"
NAME = "proxy.school.example"


class Port:
    """A door for encrypted connections on loopback; `said` is what came through it."""

    def __init__(self, folder: Path) -> None:
        self.stand = Stand()
        self.said: list[tuple[bytes, Tunnel]] = []
        self.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        self.inner: list[socket.socket] = []
        listener = listening(HOST, 0)
        self.port = listener.getsockname()[1]
        self.trusts = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.trusts.set_alpn_protocols(["h2", "http/1.1"])
        tls = ProxyTls(Authority(folder), (NAME,))
        self.entrance = Entrance([listener], self.stand.passage, self.serve, None, tls)

    async def serve(self, sock: socket.socket, first: bytes, tunnel: Tunnel, _wanted: object) -> None:
        self.said.append((first, tunnel))
        self.inner.append(sock)
        await asyncio.get_running_loop().sock_sendall(sock, self.answer)

    async def dial(self, name: str = NAME) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HOST, self.port, ssl=self.trusts, server_hostname=name)

    async def close(self) -> None:
        for sock in self.inner:
            sock.close()
        self.entrance.close()
        await asyncio.gather(*self.entrance._tasks)
        self.stand.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("proxy-tls")
    ensure_authority(made, "Westways")
    return made


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Port]:
    port = Port(folder)
    try:
        async with asyncio.timeout(10):
            yield port
    finally:
        await port.close()


async def until(ask: Callable[[], object]) -> None:
    while not ask():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("name", [NAME, HOST])
async def test_what_is_said_under_encryption_comes_to_the_same_door(folder: Path, name: str) -> None:
    """The device's own address counts, the certificate is the proxy's, and HTTP/2 is not spoken to it."""
    async with opened(folder) as port:
        reader, writer = await port.dial(name)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.write(b"GET http://site.example/ HTTP/1.1\r\n")
        assert await reader.readexactly(len(port.answer)) == port.answer
        ((first, tunnel),) = port.said
        assert (first, tunnel.client, tunnel.secure) == (b"GET http://site.example/ HTTP/1.1\r\n", HOST, True)
        port.inner.pop().close()
        assert await reader.read() == b""
        writer.close()


async def test_no_certificate_is_made_for_a_name_that_is_not_the_proxys(folder: Path) -> None:
    """Nobody can have a certificate of the school's for another site from this port."""
    async with opened(folder) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await port.dial("www.bank.example")
        reader, writer = await asyncio.open_connection(HOST, port.port)
        writer.write(b"GET http://site.example/ HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()
        writer.close()
        assert port.said == []


async def test_a_cut_drops_what_a_slow_client_has_not_read(folder: Path) -> None:
    """S-60: after a freeze nothing more arrives, also where much was on its way; others go on."""
    async with opened(folder) as port:
        port.answer = b"x"
        reader, writer = await port.dial()
        writer.write(b"GET http://site.example/ HTTP/1.1\r\n")
        await until(lambda: port.inner)
        (inner,) = port.inner
        with contextlib.suppress(BlockingIOError):
            while True:
                inner.send(b"x" * 65_536)
        (relay,) = port.entrance._relays
        relay.tunnel.user = "amy"
        port.entrance.cut((), {"bob"})
        assert not relay._ended
        inner.close()
        port.entrance.cut((), {"amy"})
        await until(lambda: relay._ended or relay._writer.transport.is_closing())
        relay.cut()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


async def test_mitmproxy_is_told_the_devices_address() -> None:
    """Within the encryption there is a socket of our own, whose address would say nothing."""
    ours, theirs = socket.socketpair()
    reader, plain = await asyncio.open_unix_connection(sock=ours)
    writer = InnerWriter(plain.transport, plain.transport.get_protocol(), reader, asyncio.get_running_loop())
    writer.device = "10.20.0.5"
    assert writer.get_extra_info("peername") == writer.get_extra_info("sockname") == ("10.20.0.5", 0)
    assert writer.get_extra_info("socket") is not None
    writer.close()
    theirs.close()
