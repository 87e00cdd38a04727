"""One row for each attempt: what the gateway remembers of a connection, and how refusals get on record.

What lives only here: the attempt that was refused and that no page has answered yet, and the records that
nobody waits for. A refusal that a page answers is recorded with the page; one whose client hangs up, or
whose connection fails, when that is known. Never both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from appliance.filtering import Judgement
from appliance.gateway.actions import Carried, access_of, new_reference
from appliance.gateway.translate import Tunnel, host_of
from appliance.model.decision import Reason
from appliance.model.event import Access
from appliance.model.request import Request
from appliance.model.url import Url


class Metrics(Protocol):
    """What the gateway counts."""

    def decided(self, seconds: float) -> None:
        """Take the time that one decision took."""

    def added_latency(self, seconds: float) -> None:
        """Take the time that the gateway's own work added to one request."""

    def fault(self, reason: Reason, stage: str) -> None:
        """Count one fault that closed."""

    def connection(self) -> None:
        """Count one client connection."""

    def incomplete(self) -> None:
        """Count one request that never became whole."""

    def handshake_failed(self, kind: str) -> None:
        """Count one client that would not have our certificate (`handshakes.kind_of`)."""


class Recorder(Protocol):
    """Where judged accesses go."""

    async def record(self, access: Access) -> None:
        """Keep one access; a flagged one is durable when this returns."""

    def note(self, access: Access) -> None:
        """Keep one access that is not flagged; never wait."""


class Site(NamedTuple):
    """The site that the names of a request lead to: `url` is its own page, `names` the other names.

    `asked` is all that this follows from.
    """

    asked: tuple[object, ...]
    url: Url
    names: tuple[Url, ...]


@dataclass(slots=True)
class Connection:
    """What the gateway remembers of one client connection."""

    tunnel: Tunnel
    permitted: set[tuple[str, int]] = field(default_factory=set)
    pending: Carried | None = None
    """An attempt that was refused at CONNECT or ClientHello, and that no page has answered yet."""
    faulty: Reason | None = None
    looked: tuple[tuple[int, str, str, str], bool] | None = None
    """Whether what pages say has to be read, and for which policy, profile and host that was asked."""
    site: Site | None = None
    """Where the last request in the lean lane led."""
    began: bool = False
    """Whether a request in the lean lane was whole."""

    def refused(self, request: Request, judgement: Judgement) -> None:
        """Note a refused attempt; it takes the place of one that the same attempt began with."""
        self.pending = Carried(request, judgement, new_reference())

    def take_pending(self) -> Carried | None:
        """Return the attempt that no page has answered, once."""
        pending, self.pending = self.pending, None
        return pending

    def request(self, refused: str = "") -> Request:
        """Return what is known of the connection as a request, by the name that it is about."""
        tunnel = self.tunnel
        name = tunnel.sni or tunnel.connect or tunnel.destination or host_of("invalid")
        port = tunnel.port or name.port
        url = Url("https", name.host, port, "/", "", name.ip)
        method = "TLS" if tunnel.encrypted else "CONNECT" if tunnel.connect else ""
        return Request(url, method=method, client=tunnel.client, user=tunnel.user, refused=refused)


class Attempts:
    """Writes accesses to the record, each once."""

    def __init__(
        self, recorder: Recorder, fault: Callable[[str, Reason, BaseException | None], None]
    ) -> None:
        """Record with `recorder`; `fault` hears of what failed where nobody waits for it."""
        self._recorder = recorder
        self._fault = fault
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, carried: Carried, status: int) -> None:
        """Keep one access; raises what the recorder raises, and the access then counts as not recorded.

        A caller that runs out of time does not take it back: the recorder goes on with it.
        """
        carried.recorded = True
        try:
            await self._recorder.record(access_of(carried, status))
        except Exception:
            carried.recorded = False
            raise

    def note(self, carried: Carried, status: int) -> None:
        """Keep one access that is not flagged, at once; raises as `record` does."""
        carried.recorded = True
        try:
            self._recorder.note(access_of(carried, status))
        except Exception:
            carried.recorded = False
            raise

    def keep(self, carried: Carried, status: int) -> Awaitable[None] | None:
        """Keep one access: at once, or where it is flagged, by what is returned."""
        if carried.judgement.decision.flagged:
            return self.record(carried, status)
        self.note(carried, status)
        return None

    def soon(self, stage: str, carried: Carried, status: int = 0) -> asyncio.Task[None]:
        """Keep one access without waiting, in the task returned; needs an event loop that runs.

        `stage` is told when that fails; an empty one is not, for what was counted as a fault already.
        """
        carried.recorded = True
        task = asyncio.get_running_loop().create_task(self.record(carried, status))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._recorded(stage, done))
        return task

    def _recorded(self, stage: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and stage:
            self._fault(stage, Reason.FAULT, task.exception())
