from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from mitmproxy.proxy import events

from appliance.gateway.lane_link import BACKLOG, Link, Lost, Opened, Received, Relieved, Unreachable
from appliance.gateway.lane_pool import Pool, Target, Upstream
from appliance.gateway.resolver import CLIENT

SITE = Target("site.example", 443, tls=True)


class Site:
    """A connection of the pool that keeps what is done to it."""

    def __init__(self) -> None:
        self.user: Any = None
        self.only: object = None
        self.done: list[str] = []

    def reading(self, *, on: bool) -> None:
        self.done.append("read" if on else "wait")

    def keep(self) -> None:
        self.done.append("keep")

    def abort(self) -> None:
        self.done.append("abort")


class Handler:
    """A client connection that takes bytes as slowly as the test wants."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.told: list[events.Event] = []
        self.slow = False
        self.drained = asyncio.Event()

    def deliver(self, event: events.Event) -> None:
        self.told.append(event)

    def pressed(self) -> bool:
        return self.slow

    async def relieved(self) -> None:
        await self.drained.wait()


def made(connect: Any = None) -> tuple[Link, Handler, Site]:
    site, handler = Site(), Handler()

    async def stands(_: Target) -> Upstream:
        return cast("Upstream", site)

    pool = SimpleNamespace(
        take=lambda _target, _client, again: site if again else None, connect=connect or stands
    )
    link = Link(handler, cast("Pool", pool))
    link.join("owner", cast("Any", SimpleNamespace()), cast("Any", None))
    return link, handler, site


async def test_what_a_site_does_is_told_to_the_layer() -> None:
    """Each event names the layer that it is for, since another may stand between."""
    link, handler, site = made()
    link.open(SITE)
    await asyncio.sleep(0)
    link.received(b"x")
    link.lost("gone")
    assert handler.link is link
    assert handler.told == [
        Opened("owner", cast("Upstream", site)),
        Received("owner", b"x"),
        Lost("owner", "gone"),
    ]


async def test_a_site_that_cannot_be_reached_is_said_so_whatever_the_reason() -> None:
    """A fault in connecting is a failure with an answer, not a client that waits for ever (H1)."""
    for error in (OSError("no route"), ValueError("secret")):

        async def fail(_: Target, error: Exception = error) -> Upstream:
            raise error

        link, handler, _ = made(fail)
        link.open(SITE)
        await asyncio.sleep(0)
        problem = "no route" if isinstance(error, OSError) else "ValueError"
        assert handler.told == [Unreachable("owner", problem)]


async def test_a_slow_client_holds_up_its_site_and_nothing_else() -> None:
    """Back-pressure: what a client does not take is not read; the next user of the connection is not hit."""
    link, handler, site = made()
    assert link.take(SITE, again=True) is cast("Upstream", site)
    handler.slow = True
    link.received(b"x")
    await asyncio.sleep(0)
    assert site.done == ["wait"]
    handler.drained.set()
    await asyncio.sleep(0.01)
    assert site.done == ["wait", "read"]
    handler.drained.clear()
    link.received(b"x")
    link.keep(shared=True)
    assert site.done == ["wait", "read", "wait", "read", "keep"]


async def test_a_slow_site_holds_up_its_client() -> None:
    """An upload is read no faster than it goes on, nor is a flood of requests that wait (bounded memory)."""
    link, _, _ = made()
    link.take(SITE, again=True)
    link.held(full=True)
    assert not link.free
    waiting = asyncio.create_task(link.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    link.held(full=False)
    await waiting
    link.waiting(BACKLOG + 1)
    assert not link.free
    link.waiting(0)
    assert link.free


async def test_what_is_looked_up_counts_as_the_device_s() -> None:
    """One device's look-ups wait for each other, and for nobody else's."""
    asked = []

    async def stands(_: Target) -> Upstream:
        asked.append(CLIENT.get())
        raise OSError

    pool = SimpleNamespace(connect=stands)
    link = Link(Handler(), cast("Pool", pool), "10.20.0.5")
    link.open(SITE)
    await asyncio.sleep(0)
    assert (asked, CLIENT.get()) == (["10.20.0.5"], "")


async def test_a_client_that_takes_nothing_is_asked_to_go_on_once_it_does() -> None:
    """Answers that nobody reads are not made; whoever reads them gets the next."""
    link, handler, _ = made()
    assert not link.crowded()
    handler.slow = True
    assert link.crowded()
    assert link.crowded()
    handler.drained.set()
    await asyncio.sleep(0.01)
    assert handler.told == [Relieved("owner")]
    link.wire = cast("Any", SimpleNamespace(run=lambda work, data: work(data), pressed=handler.pressed))
    fed: list[bytes] = []
    link.carriage = cast("Any", SimpleNamespace(feed=fed.append))
    assert link.crowded()
    await asyncio.sleep(0.01)
    assert (fed, len(handler.told)) == ([b""], 1)


async def test_dropping_ends_the_connection_or_the_attempt() -> None:
    """A client that has left leaves no connection behind."""
    link, handler, site = made()
    link.take(SITE, again=True)
    link.held(full=True)
    link.drop()
    assert (site.done, link.free) == (["abort"], True)
    link.open(SITE)
    link.drop()
    await asyncio.sleep(0.01)
    assert handler.told == []
