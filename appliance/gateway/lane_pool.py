"""The lean lane: connections to sites, kept for the next request.

What lives only here: which connection may carry which request. A connection belongs to one target (host,
port, encrypted or not) and was verified for exactly that host; all of them have the same TLS settings, for
there is one context. It goes back into the pool only after an exchange that left no doubt about where it
ended. Name resolution and the rule that no internal address is reached are the loop's (`reach.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple, Protocol, override

from appliance.gateway.reach import Reach
from appliance.gateway.site_tls import SiteTls
from appliance.gateway.upstream import permit

IDLE_SECONDS = 20.0
"""How long a connection waits for its next request."""

IDLE_FRESH = 1.0
"""A request that must not be sent twice gets only a connection that was busy within so many seconds."""

MOST_IDLE = 256
"""Idle connections of one worker."""

MOST_IDLE_EACH = 32
"""Idle connections to one target."""

CONNECT_SECONDS = 30.0
"""Longest time for looking up, connecting and agreeing on encryption."""

_SESSIONS = 1024
_SESSION_SECONDS = 3600.0
_SWEEP_SECONDS = 5.0


class Target(NamedTuple):
    """Where a request goes: the host that was judged, its port, and whether encrypted."""

    host: str
    port: int
    tls: bool


class User(Protocol):
    """Who uses a connection now."""

    def received(self, data: bytes) -> None:
        """Take what the site sent."""

    def lost(self, problem: str) -> None:
        """Learn that the connection is no more."""

    def held(self, *, full: bool) -> None:
        """Learn whether the site takes bytes more slowly than they are sent."""


class Upstream(asyncio.Protocol):
    """One connection to a site."""

    def __init__(self, pool: Pool, target: Target) -> None:
        self.target = target
        self.user: User | None = None
        self.only: object = None
        """The one client that may use it from here on; None for whoever comes."""
        self.since = 0.0
        """When it became idle, on the monotonic clock."""
        self.open = False
        self._noted = False
        self._pool = pool
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP and TLS both are
        self._transport = transport
        self.open = True

    @override
    def data_received(self, data: bytes) -> None:
        if self.user is None:
            self.close()  # nobody asked: whatever it is, it is no answer
        else:
            self.user.received(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._pool.forget(self)
        user, self.user = self.user, None
        if user is not None:
            user.lost(f"the site closed the connection ({type(exc).__name__})" if exc else "the site closed")

    @override
    def pause_writing(self) -> None:
        if self.user is not None:
            self.user.held(full=True)

    @override
    def resume_writing(self) -> None:
        if self.user is not None:
            self.user.held(full=False)

    def write(self, data: bytes) -> None:
        """Send to the site."""
        if self._transport is not None:
            self._transport.write(data)

    def reading(self, *, on: bool) -> None:
        """Go on reading, or let the site wait."""
        if self._transport is not None and self.open:
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def keep(self) -> None:
        """Put the connection into the pool: its exchange is over, and left no doubt."""
        self.user = None
        if self.open and self._transport is not None and not self._transport.is_closing():
            if self.target.tls and not self._noted:
                self._noted = True  # asking for the session costs as much as resuming one saves
                self._pool.note(self.target.host, self._transport.get_extra_info("ssl_object"))
            self._pool.keep(self)
        else:
            self.close()

    def close(self) -> None:
        """End the connection."""
        self.user = None
        self.open = False
        self._pool.forget(self)
        if self._transport is not None:
            # An orderly end: OpenSSL lets no session be resumed whose connection broke off.
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once; what is still to be sent goes nowhere."""
        self.close()
        if self._transport is not None:
            self._transport.abort()


class ResumingContext(ssl.SSLContext):
    """TLS towards sites, verified; the last session with a host is offered again to the same host."""

    sessions: OrderedDict[str, tuple[float, ssl.SSLSession]]

    @override
    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        kept = self.sessions.get(str(server_hostname))
        if kept is not None and time.monotonic() - kept[0] < _SESSION_SECONDS:
            session = kept[1]
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def context_of(roots: Path) -> ResumingContext:
    """Return how sites are verified: by `roots` (a PEM file), by host name, TLS 1.2 at least."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name of its own accord
    context.sessions = OrderedDict()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(roots)
    context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2 alone had it, and no site of today asks for it
    context.set_alpn_protocols(["http/1.1"])
    return context


class Pool:
    """The connections of one worker."""

    def __init__(self, reach: Reach, roots: Path) -> None:
        self._reach = reach
        self._context = context_of(roots)
        self._idle: dict[Target, list[Upstream]] = {}
        self._count = 0
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return self._count

    def take(self, target: Target, client: object = None, *, again: bool) -> Upstream | None:
        """Return an idle connection to `target` that `client` may use, if there is one.

        `again` says that the request may be sent once more, should the site have closed meanwhile.
        """
        waiting = self._idle.get(target)
        if not waiting:
            return None
        at = len(waiting) - 1  # the one that became idle last
        while at >= 0 and waiting[at].only not in (None, client):
            at -= 1
        if at < 0 or (not again and time.monotonic() - waiting[at].since > IDLE_FRESH):
            return None
        upstream = waiting.pop(at)
        self._count -= 1
        if not waiting:
            del self._idle[target]
        return upstream

    async def connect(self, target: Target) -> Upstream:
        """Open a new connection; OSError (ssl.SSLError is one) with the reason in its text."""
        if refused := permit((target.host, target.port), ((target.host, target.port),), self._reach):
            raise ConnectionRefusedError(refused)
        # One address after the other: asyncio's race (happy eyeballs) fails under the eager tasks that
        # mitmproxy switches on (Python 3.13.0).
        upstream = Upstream(self, target)
        secure = SiteTls(self._context, target.host, upstream) if target.tls else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: secure or upstream, target.host, target.port
                )
                if secure is not None:
                    await secure.ready
        except BaseException as error:
            (secure or upstream).abort()  # it may have come about just as its client left
            if isinstance(error, TimeoutError):
                raise ConnectionError("the site did not answer in time") from error
            if isinstance(error, UnicodeError):
                raise ConnectionError("the name cannot be looked up") from error
            raise
        return upstream

    def keep(self, upstream: Upstream) -> None:
        """Keep a connection for the next request."""
        waiting = self._idle.setdefault(upstream.target, [])
        waiting.append(upstream)
        upstream.since = time.monotonic()
        self._count += 1
        if len(waiting) > MOST_IDLE_EACH:
            waiting[0].close()
        elif self._count > MOST_IDLE:
            next(iter(self._idle.values()))[0].close()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def forget(self, upstream: Upstream) -> None:
        """Drop a connection that ended, if it is here."""
        waiting = self._idle.get(upstream.target, [])
        with contextlib.suppress(ValueError):
            waiting.remove(upstream)
            self._count -= 1
            if not waiting:
                del self._idle[upstream.target]

    def close(self) -> None:
        """End all that is idle."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for upstream in [each for waiting in self._idle.values() for each in waiting]:
            upstream.close()

    def _sweep(self) -> None:
        self._sweeping = None
        now = time.monotonic()
        for upstream in [each for waiting in self._idle.values() for each in waiting]:
            if now - upstream.since > IDLE_SECONDS:
                upstream.close()
        if self._count:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def note(self, host: str, tls: ssl.SSLObject) -> None:
        """Note the session of a connection to `host`, for the next one to it."""
        # What was resumed is as good as before, and was not verified anew: it lives no longer than it did.
        session = None if tls.session_reused else tls.session
        if session is None:
            return
        sessions = self._context.sessions
        sessions.pop(host, None)
        sessions[host] = (time.monotonic(), session)
        if len(sessions) > _SESSIONS:
            sessions.popitem(last=False)
