"""One client connection that mitmproxy reads.

What lives only here: how such a connection is cut, hurried, slowed down and ended. What crashes inside
mitmproxy is cut instead of left hanging, and so is what never gets to a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, override

from mitmproxy import connection
from mitmproxy.proxy import commands, events, mode_servers

from appliance.gateway.heads import MALFORMED_MARK
from appliance.gateway.hooks import Answer, Answering, Hooks
from appliance.gateway.lane_link import Link
from appliance.gateway.lingering import UNREAD_MARK, linger
from appliance.gateway.loop import READ_SIZE
from appliance.gateway.pressure import HELD_LIMIT, RETRY_SECONDS, busy, held, taken
from appliance.gateway.translate import Tunnel

logger = logging.getLogger(__name__)

CLIENT_BUFFER = 65_536
"""Bytes that may wait for a slow client before the site that sends them is no longer read."""

OPENING_SECONDS = 60.0
"""Longest time from a connection's first byte to its first whole request head."""


class Handler(mode_servers.ProxyConnectionHandler):
    """One client connection."""

    hooks: Hooks
    """How the hooks of our addons are found and run."""
    tunnel: Tunnel | None = None
    """What is known of the connection; what it learns of it later, the addon writes into it."""
    began = False
    """Set by the addon once a request or tunnel of this connection was judged."""
    link: Link | None = None
    """The lean lane's way to the sites, where this connection is in that lane."""
    overrides: frozenset[int] = frozenset()
    """The overrides that something on this connection was open by."""
    _opened: float | None = None
    _refused = False
    _unread = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call] # mitmproxy's has no types
        self._moved = asyncio.Event()

    @override
    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if message == UNREAD_MARK:
            self._unread = True
        elif message.startswith(MALFORMED_MARK):
            self._unread = True  # whatever else it sent is not read either
            self._refuse(message.removeprefix(MALFORMED_MARK))
        elif level >= logging.ERROR and "crashed" in message:
            # The layers are in an unknown state: nothing more may pass (H29). The text of a crash
            # can hold what a pupil wrote (H30), so only the kind of error is logged.
            kind = getattr(exc_info[1], "__class__", None) if isinstance(exc_info, tuple) else None
            self._tell("crashed", kind.__name__ if kind else _current_error())
            self.cut()

    @override
    async def server_event(self, event: events.Event) -> None:
        if not self.began and isinstance(event, events.DataReceived):
            # From its first byte: browsers open connections in advance and use them minutes later.
            self._opened = self._opened or time.monotonic()
            if time.monotonic() - self._opened > OPENING_SECONDS:
                self._refuse("no request within a minute")
                self.cut()
                return
        await super().server_event(event)
        if self.link is not None and self.began and isinstance(event, events.DataReceived):
            self._hurry(self.link, event)

    def _hurry(self, link: Link, event: events.DataReceived) -> None:
        io = self.transports.get(self.client)
        if (
            event.connection is self.client
            and len(event.data) < READ_SIZE  # a shorter read has left nothing behind
            and io is not None
            and isinstance(io.writer, asyncio.StreamWriter)
            and isinstance(io.writer.transport, asyncio.Transport)
        ):
            link.hurry(io.writer.transport)

    @override
    def close_connection(self, connection: connection.Connection, half_close: bool = False) -> None:
        if self._unread and connection is self.client and not half_close:
            self._unread = False
            io = self.transports.get(connection)
            if io is not None and isinstance(io.writer, asyncio.StreamWriter):
                transport = io.writer.transport
                if isinstance(transport, asyncio.Transport):
                    linger(transport)
        super().close_connection(connection, half_close)

    def active(self) -> None:
        """Note that the connection is in use."""
        self.timeout_watchdog.register_activity()

    def idle(self, seconds: float) -> bool:
        """Tell whether nothing is under way, and nothing has moved for so long."""
        if time.time() - self.timeout_watchdog.last_activity < seconds:
            return False
        carriage = self.link.carriage if self.link is not None else None
        if carriage is not None and not carriage.gone:
            return carriage.idle
        return not busy(self.layer.context)

    def failed(self) -> None:
        """Cut the connection, whose handling has just failed with an exception."""
        self.log("the lean lane has crashed", logging.ERROR)

    def deliver(self, event: events.Event) -> None:
        """Give the layers an event from outside mitmproxy, at once: handling one never waits."""
        if self._server_event_lock.locked():  # another is being handled, higher up the stack
            asyncio.get_running_loop().call_soon(self.deliver, event)
            return
        work = self.server_event(event)
        try:
            work.send(None)
        except StopIteration:
            return
        work.close()
        raise RuntimeError("handling an event had to wait")

    def pressed(self) -> bool:
        """Tell whether the client takes bytes more slowly than they come."""
        io = self.transports.get(self.client)
        if io is None or not isinstance(io.writer, asyncio.StreamWriter):
            return False
        return io.writer.transport.get_write_buffer_size() > CLIENT_BUFFER

    async def relieved(self) -> None:
        """Return once the client has taken what waits for it, or has gone."""
        io = self.transports.get(self.client)
        if io is not None and isinstance(io.writer, asyncio.StreamWriter):
            with contextlib.suppress(OSError):
                await io.writer.drain()

    @override
    async def handle_connection(self, connection: connection.Connection) -> None:
        # The door has read the first bytes already, so this task gets far before whoever made it knows it.
        io = self.transports[connection]
        io.handler = io.handler or asyncio.current_task()
        await super().handle_connection(connection)

    @override
    async def handle_hook(self, hook: commands.StartHook) -> None:
        # What a layer asked has begun already, and only waits; the rest is asked by the handler itself.
        begun = self.layer.waiting.pop(hook, None) if isinstance(self.layer, Answering) else None
        outcome = begun or self.hooks.start(hook)
        if outcome is Answer.NEVER:
            raise asyncio.CancelledError
        if isinstance(outcome, asyncio.Task):
            with self.timeout_watchdog.disarm():
                await outcome

    @override
    async def drain_writers(self) -> None:
        # Called by the task that reads a connection, after each piece: until it returns, nothing more is
        # read there, and whoever sends has to wait. What waits elsewhere is counted by `pressure`.
        await super().drain_writers()  # type: ignore[no-untyped-call] # as above
        context = self.layer.context
        reading = asyncio.current_task()
        if (client := self.transports.get(self.client)) and client.handler is reading:
            self._moved.set()  # it may have opened a window
            if self.link is not None:
                await self.link.ready()
            while held(context) > HELD_LIMIT:  # noqa: ASYNC110 - many layers may end the waiting
                await asyncio.sleep(RETRY_SECONDS)
            return
        connection = next((conn for conn, io in self.transports.items() if io.handler is reading), None)
        while connection is not None and not taken(context, connection):
            self._moved.clear()
            await self._moved.wait()

    def _refuse(self, text: str) -> None:
        if not self._refused:  # what is cut for one reason ends unfinished as well, and is one attempt
            self._refused = True
            self._tell("refused_head", text)

    def _tell(self, what: str, text: str) -> None:
        addon = self.master.addons.get("gateway")
        if addon is None:
            return
        try:
            getattr(addon, what)(self.client, text)
        except Exception as error:  # noqa: BLE001 - telling must not keep the connection from being cut
            logger.error("a refused connection could not be recorded: %s", type(error).__name__)  # noqa: TRY400 - its text can hold what a pupil sent

    def cut(self) -> None:
        """End this connection on both sides, at once."""
        for io in list(self.transports.values()):
            if io.handler is not None:
                io.handler.cancel("closed by the gateway")


def _current_error() -> str:
    import sys  # noqa: PLC0415 - only on the way down

    error = sys.exc_info()[1]
    return type(error).__name__ if error else "unknown error"
