"""The lean lane: what joins a client connection to connections of the pool.

What lives only here: the events that the lane's layer knows besides mitmproxy's, how they get there from
an `asyncio` callback without a task for each, and back-pressure: a side is read only while the other one
takes what it gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context

from appliance.gateway.actions import Carried
from appliance.gateway.lane_pool import Pool, Target, Upstream
from appliance.gateway.resolver import CLIENT

BACKLOG = 65_536
"""Bytes of a client that may wait for their turn before it is no longer read."""


@dataclass
class LaneEvent(events.Event):
    """Something happened to a connection of the pool; `owner` is the layer that it is for."""

    owner: object


@dataclass
class Opened(LaneEvent):
    """A new connection stands."""

    upstream: Upstream


@dataclass
class Unreachable(LaneEvent):
    """No connection could be made; `problem` says why."""

    problem: str


@dataclass
class Received(LaneEvent):
    """The site sent something."""

    data: bytes


@dataclass
class Lost(LaneEvent):
    """The site's connection ended."""

    problem: str


@dataclass
class Relieved(LaneEvent):
    """The client has taken what waited for it."""


@dataclass
class Left(LaneEvent):
    """The client has ended its encryption, and with it its side."""


@dataclass
class Acts(LaneEvent):
    """The carriage wants something done by its layer (`lane_carriage.Act`)."""

    act: Any


class Handler(Protocol):
    """What the lane needs of the client connection's handler (`handler.Handler`)."""

    link: Link | None

    def deliver(self, event: events.Event) -> None:
        """Give the layers an event, at once."""

    def pressed(self) -> bool:
        """Tell whether the client takes bytes more slowly than they come."""

    async def relieved(self) -> None:
        """Return once the client has taken what waits for it."""


class Carriage(Protocol):
    """What a connection of the pool tells, where the client is carried past mitmproxy's layers."""

    gone: bool

    @property
    def carried(self) -> Carried | None:
        """The request that is under way."""

    @property
    def endless(self) -> bool:
        """Whether it has no end that is known."""

    @property
    def idle(self) -> bool:
        """True while no request is under way."""

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""

    def received(self, data: bytes) -> None:
        """Take what the site sent."""


class Wire(Protocol):
    """A client connection past mitmproxy's layers (`lane_wire.py`)."""

    def run(self, work: Callable[[bytes], None], data: bytes) -> None:
        """Do something for the client; if that fails, the client is cut."""

    def reading(self, *, on: bool) -> None:
        """Go on reading the client, or let it wait."""

    def pressed(self) -> bool:
        """Tell whether the client takes bytes more slowly than they come."""


class Link:
    """Carries one client's requests to the sites, one after the other."""

    def __init__(self, handler: Handler, pool: Pool, device: str = "") -> None:
        """Carry for `device` (its address), to which what is looked up counts."""
        self.wire: Wire | None = None
        """Set while the client is carried past mitmproxy's layers."""
        self.context: Context | None = None
        self.owner: object = None
        self.shorten: Callable[[Link, Any, asyncio.Transport], bool] | None = None
        """What takes the connection past the layers, given this link, the handler and the client's transport;
        False if it never will."""
        self.carriage: Carriage | None = None
        self._handler = handler
        self._pool = pool
        self._device = device
        self._client = object()
        """Stands for this client among the connections of the pool."""
        self._upstream: Upstream | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Event()
        self._free.set()
        self._site_full = False
        self._unread = False
        self._relief: asyncio.Task[None] | None = None
        self._backlog = 0

    def join(self, owner: object, carriage: Carriage, context: Context) -> None:
        """Learn for whom this is: the layer, what it carries, and where it stands among the layers."""
        self.owner, self.carriage, self.context = owner, carriage, context
        self._handler.link = self

    # --- what the carriage wants (lane_carriage.Sites) ---

    def take(self, target: Target, *, again: bool) -> Upstream | None:
        """Return a connection of the pool that is now this client's; None if there is none."""
        upstream = self._pool.take(target, self._client, again=again)
        if upstream is not None:
            self._use(upstream)
        return upstream

    def open(self, target: Target) -> None:
        """Begin a new connection; `Opened` or `Unreachable` tells what came of it."""
        self._start(self._connect(target))

    def keep(self, *, shared: bool) -> None:
        """Give the connection back: its exchange is over, and left no doubt; else for this client alone."""
        upstream = self._released()
        if upstream is not None:
            if not shared:
                upstream.only = self._client
            if self._unread:  # its next user has not this client's patience
                self._unread = False
                upstream.reading(on=True)
            upstream.keep()

    def drop(self) -> None:
        """End the connection, or the attempt at one."""
        for task in list(self._tasks):
            task.cancel()
        self._unread = False
        upstream = self._released()
        if upstream is not None:
            upstream.abort()

    def waiting(self, size: int) -> None:
        """Say how many bytes of the client wait for their turn."""
        self._backlog = size
        self._weigh()

    def crowded(self) -> bool:
        """Tell whether the client leaves too much of what it was sent; when it no longer does, it is fed.

        Else one that asks for many small answers, and takes none, would fill the memory.
        """
        if not self._pressed():
            return False
        if self._relief is None or self._relief.done():
            self._relief = asyncio.get_running_loop().create_task(self._go_on())
        return True

    # --- what a connection tells (lane_pool.User) ---

    def received(self, data: bytes) -> None:
        """Pass on what the site sent, and stop reading it while the client does not keep up."""
        upstream = self._upstream
        if self.wire is not None and self.carriage is not None:
            self.wire.run(self.carriage.received, data)
        else:
            self._handler.deliver(Received(self.owner, data))
        if upstream is not None and upstream is self._upstream and self._pressed():
            upstream.reading(on=False)
            self._unread = True
            self._start(self._relieve(upstream))

    def lost(self, problem: str) -> None:
        """Pass on that the connection is no more."""
        self._released()
        self._handler.deliver(Lost(self.owner, problem))

    def held(self, *, full: bool) -> None:
        """Stop reading the client while the site does not keep up."""
        self._site_full = full
        self._weigh()

    # --- what the handler asks ---

    def hurry(self, transport: asyncio.Transport) -> None:
        """Let the connection take the short way from here on, if it may; nothing of it lies unread."""
        if (
            self.shorten is not None
            and self.wire is None
            and not self.shorten(self, self._handler, transport)
        ):
            self.shorten = None

    @property
    def free(self) -> bool:
        """True while the client may be read."""
        return self._free.is_set()

    async def ready(self) -> None:
        """Return once the client may be read again."""
        if not self._free.is_set():
            await self._free.wait()

    # --- parts ---

    def _pressed(self) -> bool:
        return (self._handler if self.wire is None else self.wire).pressed()

    def _use(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.user = self

    def _released(self) -> Upstream | None:
        upstream, self._upstream = self._upstream, None
        if self._site_full:
            self._site_full = False
            self._weigh()
        return upstream

    def _weigh(self) -> None:
        free = not self._site_full and self._backlog <= BACKLOG
        if free is self._free.is_set():
            return
        (self._free.set if free else self._free.clear)()
        if self.wire is not None:
            self.wire.reading(on=free)

    async def _connect(self, target: Target) -> None:
        CLIENT.set(self._device)  # this may run in the context of the socket, which is nobody's
        try:
            upstream = await self._pool.connect(target)
        except OSError as error:
            self._handler.deliver(Unreachable(self.owner, str(error) or type(error).__name__))
            return
        except Exception as error:  # noqa: BLE001 - whatever failed, there is no connection, and it is said
            self._handler.deliver(Unreachable(self.owner, type(error).__name__))
            return
        self._use(upstream)
        self._handler.deliver(Opened(self.owner, upstream))

    async def _relieve(self, upstream: Upstream) -> None:
        await self._handler.relieved()
        if upstream is self._upstream:
            self._unread = False
            upstream.reading(on=True)

    async def _go_on(self) -> None:
        await asyncio.sleep(0)  # never at once: this is called in the middle of a request
        await self._handler.relieved()
        self._relief = None
        if self.wire is not None and self.carriage is not None:
            self.wire.run(self.carriage.feed, b"")
        else:
            self._handler.deliver(Relieved(self.owner))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
