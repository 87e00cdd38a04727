"""What becomes of an encrypted connection at the door: refused, spliced or inspected.

What lives only here: that choice, the register of what passes spliced, and the end of it: when the policy,
the lists or the minute change, each is judged again, and what would no longer pass is cut. A spliced
connection leads to an address that our resolver gives for the name that was judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import Protocol

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.board import board
from appliance.gateway.credentials import Credentials
from appliance.gateway.hello import Hello
from appliance.gateway.loop import Reached
from appliance.gateway.references import new_reference
from appliance.gateway.resolver import CLIENT
from appliance.gateway.splice import Splice
from appliance.gateway.translate import Tunnel, hello_of, host_of
from appliance.gateway.upstream import failure_of
from appliance.model.decision import Reason
from appliance.model.event import Access
from appliance.model.inspect import Inspect, Inspection
from appliance.model.request import Request

logger = logging.getLogger(__name__)

ECH_NAMES = ("cloudflare-ech.com", "ech.dev", "tls-ech.dev", "public.tls-ech.dev")
"""Names that only stand for the one that Encrypted Client Hello hides."""

BECAUSE_HIDDEN = "The connection hides which site it is for (Encrypted Client Hello)."
BECAUSE_ASKED = "The browser hid which site it is for, and is asked to say it."

WATCH_SECONDS = 0.5
"""How often it is looked whether spliced connections have to be judged again."""

OVER, CUT, FAILED = "over", "cut", "failed"
"""How a connection that passes unread can end: by itself; because it would no longer be allowed, has gone
silent or the worker ends; before it began, because there was no way to the site."""

_SLICE = 50  # judged again at a time, so that others are not held up
_FAILED = {
    Reason.OWN_NETWORK: "This name leads into a private network, not to the web.",
    Reason.UPSTREAM_UNREACHABLE: "The site did not answer.",
}


class Recorder(Protocol):
    """Where judged accesses go."""

    async def record(self, access: Access) -> None:
        """Keep one access; a flagged one is durable when this returns."""

    def note(self, access: Access) -> None:
        """Keep one access that is not flagged, soon."""


class Metrics(Protocol):
    """What is counted here."""

    def connection(self) -> None:
        """Count one client connection."""

    def decided(self, seconds: float) -> None:
        """Take the time that one decision took."""

    def incomplete(self) -> None:
        """Count one request that never became whole."""

    def fault(self, reason: Reason, stage: str) -> None:
        """Count one fault that closed."""

    def passed_unread(self, end: str, sent: int, received: int) -> None:
        """Count one connection that passed unread, by how it ended (`ENDS`), and its bytes."""


class What(Enum):
    """The three things that can happen to an encrypted connection."""

    REFUSE = "refuse"
    SPLICE = "splice"
    INSPECT = "inspect"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to happen to a connection, and why."""

    what: What
    request: Request
    judgement: Judgement
    inspection: Inspection
    state: tuple[int, int]
    """When, and under which policy, lists and people, this was so."""


@dataclass(slots=True, eq=False)
class _Passing:
    """One spliced connection."""

    verdict: Verdict
    carried: actions.Carried
    splice: Splice | None = None
    end: str = OVER

    def cut(self) -> None:
        """End it."""
        if self.splice is not None:
            self.end = CUT
            self.splice.cut()


class Waiting(Protocol):
    """Who lets clients in."""

    def cut(
        self, addresses: Collection[str], users: Collection[str] = (), nameless: Collection[str] = ()
    ) -> None:
        """Send away whoever waits and comes from one of `addresses`, or has shown credentials of `users`.

        Of the addresses `nameless`, only whoever has shown none.
        """

    def shut(self) -> None:
        """Let nobody in any more."""

    def dismiss(self) -> None:
        """Send away whoever has not said anything yet."""

    def __len__(self) -> int:
        """Return how many wait."""


@dataclass
class Passage:
    """Judges encrypted connections, and looks after those that pass as they are.

    `connect` returns a socket to a name and port, at an address that may be reached.
    """

    filtering: Filtering
    recorder: Recorder
    metrics: Metrics
    connect: Callable[[str, int], Awaitable[socket.socket]]
    own_name: str = ""
    idle: float = 600.0
    begin: Callable[[str, int, Reached], bool] = lambda _host, _port, _done: False
    """Connects to a site that need not be looked up, and tells of it; False for all others."""
    credentials: Credentials = field(default_factory=Credentials)
    """What devices have shown to the proxy, for the doors to ask."""
    ongoing: Callable[[], Awaitable[None]] | None = None
    """Judges again what is under way on connections that are read, whenever this does what passes unread."""
    waiting: list[Waiting] = field(default_factory=list)
    """The doors at which clients wait that have not said yet what they want."""
    _passing: set[_Passing] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _seen: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self._passing)

    def judge(self, tunnel: Tunnel, hello: Hello) -> Verdict:
        """Judge a connection by its names. `tunnel` learns its name, as in the full lane."""
        request = hello_of(hello.name, tunnel)
        named = tunnel.sni is not None and tunnel.sni.ip is None
        return self._judge(request, named=named, ech=hello.ech)

    def _judge(self, request: Request, *, named: bool, ech: bool) -> Verdict:
        started, state = time.perf_counter(), self._state()
        looked = self.filtering.inspection(request, named=named)
        unread = looked.level is Inspect.NEVER
        hides = ech and any(_below(request.url.host, name) for name in ECH_NAMES)
        if unread and not request.refused and (hides or not named):
            # Nothing could be looked into, and the name says nothing: there is nothing to judge.
            request = replace(request, refused=BECAUSE_HIDDEN if hides else looked.because)
        judgement = self.filtering.judge(request)
        self.metrics.decided(time.perf_counter() - started)
        if judgement.decision.blocked:
            # A page can be shown only to devices whose connections are looked into at all.
            blind = judgement.profile.inspect is Inspect.NEVER and unread
            return Verdict(What.REFUSE if blind else What.INSPECT, request, judgement, looked, state)
        if hides:
            told = replace(judgement, decision=replace(judgement.decision, because=BECAUSE_ASKED))
            return Verdict(What.INSPECT, request, told, looked, state)
        own = request.url.host == self.own_name
        return Verdict(What.SPLICE if unread and not own else What.INSPECT, request, judgement, looked, state)

    async def refuse(self, request: Request, judgement: Judgement) -> None:
        """Record a connection that was refused."""
        await self._record(actions.Carried(request, judgement, new_reference()))

    async def refuse_unread(self, tunnel: Tunnel, because: str) -> None:
        """Record a connection that speaks nothing that could be judged."""
        self.metrics.incomplete()
        target = tunnel.connect or tunnel.destination or host_of("invalid")
        request = Request(target, method="CONNECT", client=tunnel.client, user=tunnel.user, refused=because)
        judgement = self.filtering.judge(request)
        await self._record(actions.Carried(request, judgement, new_reference()))

    async def note(self, verdict: Verdict) -> None:
        """Record what is remarkable of a connection that is inspected: one that hid its name."""
        if verdict.judgement.decision.because == BECAUSE_ASKED:
            await self.refuse(verdict.request, verdict.judgement)

    async def splice(self, client: socket.socket, first: bytes, verdict: Verdict) -> None:
        """Let a connection pass as it is, `first` being what the client has sent; returns once it passes.

        The sockets are closed in any case, at the latest when the connection is over.
        """
        passing = _passing_of(verdict)
        url = verdict.request.url
        if verdict.judgement.decision.flagged:
            await self._record(passing.carried)  # watched: in the log before the site hears of it
        CLIENT.set(verdict.request.client)
        try:
            site = await self.connect(url.host, url.port)
        except OSError as error:
            client.close()
            await self._fail(passing, failure_of(str(error)))
            return
        self._join(passing, client, site, first)

    def splice_at_once(self, client: socket.socket, first: bytes, verdict: Verdict) -> bool:
        """Do what `splice` does, where there is nothing to wait for but the site; False where there is."""
        if verdict.judgement.decision.flagged:
            return False
        passing = _passing_of(verdict)

        def reached(site: socket.socket, error: OSError | None) -> None:
            try:
                if error is None:
                    self._join(passing, client, site, first)
                    return
                self.later(self._fail(passing, failure_of(str(error))))
            except Exception as fault:  # noqa: BLE001 - whatever failed, nothing passes
                self._fault("splice", fault)
            _drop(client, site)

        try:
            return self.begin(verdict.request.url.host, verdict.request.url.port, reached)
        except OSError as error:  # not even a socket is to be had: that is on record as well
            self.later(self._fail(passing, failure_of(str(error))))
            _drop(client)
            return True

    def _join(self, passing: _Passing, client: socket.socket, site: socket.socket, first: bytes) -> None:
        verdict = passing.verdict
        if (
            self._state() != verdict.state
            and self._judge(verdict.request, named=True, ech=False).what is not What.SPLICE
        ):
            # The policy, the lists or the time changed while the site was being looked up.
            _drop(client, site)
            return
        with contextlib.suppress(OSError):
            site.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        passing.splice = Splice(client, site, partial(self._over, passing))
        self._passing.add(passing)
        passing.splice.begin(first)

    async def watch(self) -> None:
        """Judge what passes again whenever something has changed, for ever; end what has gone silent."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            state = self._state()
            if state != self._seen:
                await self.judge_again()
                if self.ongoing is not None:
                    await self.ongoing()
                self._seen = state
            now = asyncio.get_running_loop().time()
            for passing in list(self._passing):
                if passing.splice is not None and now - passing.splice.moved_at > self.idle:
                    passing.cut()

    def _state(self) -> tuple[int, int]:
        # What a judgement depends on beside the request: policy, lists and people, and the minute.
        return self.filtering.epoch, int(time.time() // 60)

    async def judge_again(self) -> None:
        """Cut what would no longer pass, and record why."""
        for count, passing in enumerate(list(self._passing)):
            if count % _SLICE == 0:
                await asyncio.sleep(0)
            try:
                verdict = self._judge(passing.verdict.request, named=True, ech=False)
            except Exception as error:  # noqa: BLE001 - whatever failed, it does not pass any longer
                self._fault("splice", error)
                verdict = None
            if verdict is None or verdict.what is not What.SPLICE:
                passing.cut()
                if verdict is not None and verdict.judgement.decision.blocked:
                    self.later(self.refuse(verdict.request, verdict.judgement))

    def cut_all(self) -> None:
        """End everything that passes."""
        for passing in list(self._passing):
            passing.cut()

    def later(self, work: Awaitable[None]) -> None:
        """Do something beside the connection it belongs to; a fault is told."""

        async def done() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - it has been closed already
                self._fault("record", error)

        task = asyncio.Task(done(), loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _over(self, passing: _Passing) -> None:
        self._passing.discard(passing)
        if passing.splice is not None:
            passing.carried.sent, passing.carried.received = passing.splice.sent, passing.splice.received
        self.metrics.passed_unread(passing.end, passing.carried.sent, passing.carried.received)
        if passing.carried.recorded:
            return
        if passing.carried.judgement.decision.flagged:
            self.later(self._record(passing.carried))
            return
        passing.carried.recorded = True
        try:
            self.recorder.note(actions.access_of(passing.carried, 0))
        except Exception as error:  # noqa: BLE001 - it is over already
            self._fault("record", error)

    async def _fail(self, passing: _Passing, reason: Reason) -> None:
        self.metrics.passed_unread(FAILED, 0, 0)
        because = _FAILED.get(reason, _FAILED[Reason.UPSTREAM_UNREACHABLE])
        asked = passing.verdict.request
        judgement = self.filtering.judge_failure(reason, because, asked.client, asked.user)
        await self._record(replace(passing.carried, judgement=judgement))

    async def _record(self, carried: actions.Carried) -> None:
        carried.recorded = True
        await self.recorder.record(actions.access_of(carried, 0))

    def _fault(self, stage: str, error: BaseException) -> None:
        self.metrics.fault(Reason.FAULT, stage)
        logger.error("fault in %s, closed: %s", stage, type(error).__name__)


def _passing_of(verdict: Verdict) -> _Passing:
    return _Passing(verdict, actions.Carried(verdict.request, verdict.judgement, new_reference()))


def _drop(*sockets: socket.socket) -> None:
    for sock in sockets:
        board().closed(sock.fileno())
        sock.close()


def _below(host: str, name: str) -> bool:
    return host == name or host.endswith(f".{name}")
