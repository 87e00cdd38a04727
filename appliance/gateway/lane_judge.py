"""The lean lane: judging, answering for sites that failed, and the record.

What lives only here: the lean lane's side of what `addon.py` does for the full one, by the same
`filtering.py`, pages and log. It lets a request go or leaves it to the full lane, and never refuses one
itself: so there is one place that refuses. Whatever fails here leaves the connection closed.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

from mitmproxy import connection
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.actions import Carried
from appliance.gateway.addon import Connection, GatewayAddon, Metrics
from appliance.gateway.answers import Answer
from appliance.gateway.closed import closed
from appliance.gateway.door import Doors
from appliance.gateway.lane_heads import RequestHead
from appliance.gateway.lane_link import Link
from appliance.gateway.lane_pool import Pool
from appliance.gateway.site import OwnSite
from appliance.gateway.translate import Tunnel, host_of, wants_of
from appliance.gateway.upstream import FAILURES, failure_of
from appliance.model.decision import Reason
from appliance.model.event import Access
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError, parse_url

CLOSED = Answer(
    503,
    (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")),
    b"The web filter could not check this page, so it stays closed.\n",
)
"""When all else fails."""


class Recorder(Protocol):
    """Where judged accesses go."""

    async def record(self, access: Access) -> None:
        """Keep one access; a flagged one is durable when this returns."""

    def note(self, access: Access) -> None:
        """Keep one access that is not flagged; never wait."""


@dataclass
class Failure:
    """A request that its site did not answer; `answer` is what the client gets instead."""

    client: connection.Client
    head: RequestHead
    carried: Carried
    message: str
    answer: Answer = CLOSED


@dataclass
class LaneFailedHook(commands.StartHook):
    """Asks for the answer to a request that its site did not answer."""

    failure: Failure
    blocking = True


class Lane:
    """Judges the requests of the lean lane."""

    name = "lane"

    def __init__(
        self,
        *,
        addon: GatewayAddon,
        filtering: Filtering,
        recorder: Recorder,
        metrics: Metrics,
        site: OwnSite,
        doors: Doors,
        pool: Pool,
    ) -> None:
        self.deadline = addon.deadline
        self._addon = addon
        self._filtering = filtering
        self._recorder = recorder
        self._metrics = metrics
        self._site = site
        self._doors = doors
        self._pool = pool

    def done(self) -> None:
        """Close what is idle, when the worker ends."""
        self._pool.close()

    def link(self, client: connection.Client) -> Link | None:
        """Return a client's way to the sites; None when the client has gone."""
        handler = self._doors.handler_of(client)
        return Link(handler, self._pool) if handler is not None else None

    def takes(self, context: Context) -> bool:
        """Tell whether a connection can be in the lean lane: HTTP/1, and not joined to a site already."""
        if context.client.alpn == b"h2" or context.server.connected or context.server.error:
            return False
        known = self._addon.connection_of(context.client)
        return known is not None and known.pending is None and known.faulty is None

    def admit(self, client: connection.Client, head: RequestHead) -> Carried | None:
        """Judge one request; None leaves it to the full lane, which judges it again and answers."""
        started = time.perf_counter()
        known = self._addon.connection_of(client)
        if known is None or known.faulty is not None or known.pending is not None:
            return None
        try:
            carried = self._judge(known.tunnel, head)
        except UrlRefusedError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever failed, the full lane answers closed
            self._fail(known, Reason.FAULT, error)
            return None
        took = time.perf_counter() - started
        if took > self.deadline:
            self._fail(known, Reason.DEADLINE, None)
            return None
        self._metrics.added_latency(took)
        self._addon.began(client)
        return carried

    def tunnel(self, client: connection.Client, host: str, port: int) -> bool:
        """Judge a CONNECT; False leaves it to the full lane, which refuses."""
        known = self._addon.connection_of(client)
        if known is None or known.faulty is not None:
            return False
        try:
            open_to = self._addon.opens(known.tunnel.client, host_of(host), port)
        except UrlRefusedError:
            return False
        except Exception as error:  # noqa: BLE001 - whatever failed, the full lane answers closed
            self._fail(known, Reason.FAULT, error)
            return False
        if open_to:
            self._addon.began(client)
            known.tunnel.connect = host_of(host)
            known.tunnel.port = port
        return open_to

    def finished(self, carried: Carried, status: int) -> None:
        """Record an access whose answer has passed, or broke off (then `status` is what was sent, or 0)."""
        if not carried.recorded:
            carried.recorded = True
            self._recorder.note(actions.access_of(carried, status))

    @closed
    async def lane_failed(self, failure: Failure) -> None:
        """Answer for a site that failed, and record the access."""
        reason = failure_of(failure.message)
        carried = failure.carried
        judgement = self._filtering.judge_failure(reason, FAILURES[reason], carried.request.client)
        request = replace(carried.request, wants=wants_of(failure.head.field))
        failed = Carried(request, judgement, carried.reference, sent=carried.sent)
        carried.recorded = True
        reply = self._site.page(judgement, request, carried.reference)
        await self._recorder.record(actions.access_of(failed, reply.status))
        failure.answer = reply

    # --- closing ---

    def fault(self, stage: str, reason: Reason, error: BaseException | None) -> None:
        """Log and count a fault, as the full lane does."""
        self._addon.fault(stage, reason, error)

    def close(self, _stage: str, data: Any, reason: Reason) -> None:
        """Answer closed."""
        if not isinstance(data, Failure):
            return
        data.answer = CLOSED
        judgement = self._filtering.judge_failure(reason, FAILURES[reason], data.carried.request.client)
        data.answer = self._site.page(judgement, Request(host_of("invalid")), "")

    def _fail(self, known: Connection, reason: Reason, error: BaseException | None) -> None:
        known.faulty = reason
        with contextlib.suppress(Exception):
            self.fault("lane", reason, error)

    # --- parts ---

    def _judge(self, tunnel: Tunnel, head: RequestHead) -> Carried | None:
        url = _url(tunnel, head)
        if url is None:
            return None
        request = Request(
            url,
            names=tuple([name for name in (tunnel.sni, tunnel.connect) if name and name.host != url.host]),
            method=head.method,
            client=tunnel.client,
            destination=tunnel.destination,
        )
        if self._site.serves(request):
            return None
        judgement = self._decide(request)
        if judgement.decision.blocked or judgement.decision.flagged:
            return None
        return Carried(request, judgement, actions.new_reference())

    def _decide(self, request: Request) -> Judgement:
        started = time.perf_counter()
        judgement = self._filtering.judge(request)
        self._metrics.decided(time.perf_counter() - started)
        return judgement


def _url(tunnel: Tunnel, head: RequestHead) -> Url | None:
    # The address that all of the request's names agree on; None where they do not, and the full lane says so.
    explicit = tunnel.connect is None and not tunnel.encrypted and tunnel.port is None
    if head.asked.lower() != (head.host.lower() if explicit else ""):
        return None
    scheme = "https" if tunnel.encrypted else "http"
    url = parse_url(f"{scheme}://{head.host}{head.path}")
    if tunnel.port is not None and tunnel.port != url.port:
        url = replace(url, port=tunnel.port)
    if tunnel.encrypted and tunnel.sni is not None and tunnel.sni.host != url.host:
        return None
    return url


def named(url: Url) -> str:
    """Return how a site is told its own name: as it was judged, with a port that is not the usual one."""
    default = 443 if url.scheme == "https" else 80
    return url.host if url.port == default else f"{url.host}:{url.port}"
