from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, override

import pytest

from appliance.gateway import loop as module
from appliance.gateway.loop import READ_SIZE, GuardedLoop
from appliance.gateway.reach import InternalAddressError, Reach
from appliance.gateway.resolver import Resolver, _Kept
from tests.doubles.keeping import until


class Everywhere(Reach):
    """Lets loopback count as the web."""

    @override
    def internal(self, address: Any) -> str:
        return ""


def run[T](play: Callable[[], Awaitable[T]], kind: type[GuardedLoop] = GuardedLoop) -> T:
    async def played() -> T:
        return await play()

    with asyncio.Runner(loop_factory=kind) as runner:
        return runner.run(played())


def use(**static: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, GuardedLoop)
    loop.resolver = Resolver(reach=Everywhere(), static=static)


def test_no_connection_is_opened_to_a_name_that_leads_inwards() -> None:
    """The guard holds where it counts: in the call with which mitmproxy connects."""

    async def connect() -> None:
        server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(InternalAddressError):
                await asyncio.open_connection("localhost", port)

    run(connect)


def test_no_connection_asks_for_more_room_than_it_fills() -> None:
    """A wave of connections leaves no holes of a quarter of a megabyte each in a worker's memory."""
    sizes = list[int]()

    class Reading(asyncio.Protocol):
        @override
        def data_received(self, data: bytes) -> None:
            sizes.append(len(data))

    async def read() -> None:
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(Reading, far)
        near.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(near, bytes(400_000))
        await until(lambda: sum(sizes) == 400_000, "all of it was read")
        transport.close()
        near.close()

    run(read)
    assert max(sizes) <= READ_SIZE


def test_addresses_are_handed_out_in_the_systems_form() -> None:
    """Libraries that resolve by themselves get addresses that were judged, of the kind they ask for."""

    async def ask() -> list[Any]:
        use(site=("2001:db8::1", "192.0.2.1"))
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("site", 443)
        six = await loop.getaddrinfo(b"site", "443", family=socket.AF_INET6, type=socket.SOCK_DGRAM, proto=17)
        with pytest.raises(OSError, match="no address of that kind"):
            await loop.getaddrinfo("192.0.2.1", 80, family=socket.AF_INET6)
        return [*found, *six]

    assert run(ask) == [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 443, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443)),
        (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("2001:db8::1", 443, 0, 0)),
    ]


class Holes(GuardedLoop):
    """A network in which packets to IPv6 vanish."""

    @override
    async def reach(self, sock: socket.socket, address: tuple[str, int]) -> None:
        if sock.family == socket.AF_INET6:
            await asyncio.Event().wait()
        await super().reach(sock, address)


def test_a_hole_in_ipv6_delays_by_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A school whose IPv6 is broken still works (RFC 8305)."""
    monkeypatch.setattr(module, "NEXT_ADDRESS_SECONDS", 0.02)

    async def connect() -> float:
        async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as server:
            use(site=("2001:db8::1", "127.0.0.1"))
            started = time.monotonic()
            _, writer = await asyncio.open_connection("site", server.sockets[0].getsockname()[1])
            writer.close()
            return time.monotonic() - started

    assert run(connect, Holes) < 2


def test_a_site_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pupil sees a page that says so, and no connection hangs for minutes."""
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.05)

    async def connect() -> None:
        use(site=("2001:db8::1",))
        with pytest.raises(OSError, match="did not answer in time"):
            await asyncio.open_connection("site", 443)

    run(connect, Holes)


def test_an_address_that_never_answers_costs_no_descriptor_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one address of a site is waited for in bounded time, without a race or a timer of its own."""
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.05)

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, GuardedLoop)
        with socket.socket() as full, socket.socket() as one, socket.socket() as two:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for each in (one, two):  # whoever comes after these is not answered at all
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            with pytest.raises(OSError, match="did not answer in time"):
                await loop._attempt(*full.getsockname())

    run(connect)


def test_who_refuses_later_is_told_as_refusing() -> None:
    """The page says why there is no way to a site, also where its refusal took a moment."""

    class Later(socket.socket):
        def connect(self, address: Any) -> None:
            with pytest.raises(ConnectionRefusedError):
                super().connect(address)
            raise BlockingIOError

        def getsockopt(self, *_: Any) -> Any:
            return errno.ECONNREFUSED

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, GuardedLoop)
        with socket.socket() as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        with Later() as sock, pytest.raises(ConnectionRefusedError):
            await loop.reach(sock, address)

    run(connect)


def test_only_a_site_of_one_known_address_is_begun_at_once() -> None:
    """Whatever would have to be asked for, or raced, is left to the way that waits."""

    async def connect() -> list[Any]:
        use()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, GuardedLoop)
        told: list[Any] = []
        assert not loop.begin("site", 443, lambda sock, error: told.append((sock, error)))
        async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for addresses, number in ((("127.0.0.1",), port), (("127.0.0.1",), 1)):
                keep(loop.resolver, "site", addresses)
                assert loop.begin("site", number, lambda sock, error: told.append((sock, error)))
                while len(told) < (1 if number == port else 2):  # noqa: ASYNC110 - it tells no event
                    await asyncio.sleep(0.001)
            keep(loop.resolver, "site", ("127.0.0.1", "127.0.0.2"))
            assert not loop.begin("site", port, lambda sock, error: told.append((sock, error)))
        for sock, _ in told:
            sock.close()
        return [type(error) for _, error in told]

    assert run(connect) == [type(None), ConnectionRefusedError]


def keep(resolver: Resolver, name: str, addresses: tuple[str, ...]) -> None:
    far = time.monotonic() + 60
    resolver._kept[name, "A"] = _Kept(addresses, far)
    resolver._kept[name, "AAAA"] = _Kept((), far)
