"""The lean lane: judging, answering for sites that failed, and the record.

What lives only here: the lean lane's side of what `addon.py` does for the full one, by the same
`filtering.py`, pages and log. It lets a request go or leaves it to the full lane, and never refuses one
itself: so there is one place that refuses. Whatever fails here leaves the connection closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any

from mitmproxy import connection
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.actions import Carried
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.answers import CLOSED, Answer
from appliance.gateway.attempts import Connection, Metrics, Site
from appliance.gateway.closed import FAILURES, closed
from appliance.gateway.door import Doors
from appliance.gateway.lane_heads import RequestHead
from appliance.gateway.lane_link import Link
from appliance.gateway.lane_pool import Pool
from appliance.gateway.lived import lives_by
from appliance.gateway.peers import peer_of
from appliance.gateway.site import OwnSite
from appliance.gateway.translate import Tunnel, wants_of
from appliance.gateway.upstream import failure_of
from appliance.inspection.search import may_hold_term
from appliance.model.decision import Reason
from appliance.model.inspect import Inspect
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError, at, parse_url


@dataclass
class Failure:
    """A request that its site did not answer.

    `answer` is what the client gets instead, `failed` what is recorded.
    """

    client: connection.Client
    head: RequestHead
    carried: Carried
    message: str
    answer: Answer = CLOSED
    failed: Carried | None = None


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
        metrics: Metrics,
        site: OwnSite,
        doors: Doors,
        pool: Pool,
    ) -> None:
        self.deadline = addon.deadline
        self._addon = addon
        self._filtering = filtering
        self._metrics = metrics
        self._site = site
        self._doors = doors
        self._pool = pool

    @property
    def leaving(self) -> bool:
        """True once another worker has taken this one's place: each connection ends with its answer."""
        return self._doors.leaving

    def done(self) -> None:
        """Close what is idle, when the worker ends."""
        self._pool.close()

    def link(self, client: connection.Client) -> Link | None:
        """Return a client's way to the sites; None when the client has gone."""
        handler = self._doors.handler_of(client)
        return Link(handler, self._pool, peer_of(client)) if handler is not None else None

    def takes(self, context: Context) -> bool:
        """Tell whether a connection can be in the lean lane: HTTP/1, and not joined to a site already."""
        if context.client.alpn == b"h2" or context.server.connected or context.server.error:
            return False
        if any(isinstance(layer, http.HttpLayer) for layer in context.layers):
            return (
                False  # in a tunnel that the full lane has opened, whose layers do not know the lane's events
            )
        known = self._addon.connections.get(context.client.id)
        return known is not None and known.pending is None and known.faulty is None

    def admit(self, client: connection.Client, head: RequestHead) -> Carried | None:
        """Judge one request; None leaves it to the full lane, which judges it again and answers."""
        started = time.perf_counter()
        known = self._addon.connections.get(client.id)
        if known is None or known.faulty is not None or known.pending is not None:
            return None
        try:
            carried = self._judge(known, head)
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
        if not known.began:
            known.began = True
            self._addon.began(client)
        if carried is not None and carried.judgement.overrides:
            lives_by(self._doors, client, carried.judgement.overrides)
        return carried

    def finished(self, carried: Carried, status: int) -> None:
        """Record an access whose answer has passed, or broke off (then `status` is what was sent, or 0)."""
        if not carried.recorded:
            self._addon.attempts.note(carried, status)

    @closed
    async def lane_failed(self, failure: Failure) -> None:
        """Answer for a site that failed, and record the access."""
        reason = failure_of(failure.message)
        carried = failure.carried
        asked = carried.request
        judgement = self._filtering.judge_failure(reason, FAILURES[reason], asked.client, asked.user)
        request = replace(carried.request, wants=wants_of(failure.head.field))
        failure.failed = Carried(request, judgement, carried.reference, sent=carried.sent)
        carried.recorded = True
        reply = self._site.page(judgement, request, carried.reference)
        await self._addon.attempts.record(failure.failed, reply.status)
        failure.answer = reply

    # --- closing ---

    def fault(self, stage: str, reason: Reason, error: BaseException | None) -> None:
        """Log and count a fault, as the full lane does."""
        self._addon.fault(stage, reason, error)

    def close(self, _stage: str, data: Any, reason: Reason) -> asyncio.Task[None] | None:
        """Answer closed, and return the record of it on its way; one that is on its way already is enough."""
        if not isinstance(data, Failure):
            return None
        record = None
        data.answer = CLOSED
        with contextlib.suppress(Exception):  # closed it is, whatever else fails
            failed = data.failed
            if failed is None or not failed.recorded:
                asked = data.carried.request
                judgement = self._filtering.judge_failure(reason, FAILURES[reason], asked.client, asked.user)
                failed = Carried(data.carried.request, judgement, actions.new_reference())
                record = self._addon.attempts.soon("", failed, CLOSED.status)
            data.answer = self._site.page(failed.judgement, failed.request, failed.reference)
        return record

    def _fail(self, known: Connection, reason: Reason, error: BaseException | None) -> None:
        known.faulty = reason
        with contextlib.suppress(Exception):
            self.fault("lane", reason, error)

    # --- parts ---

    def _judge(self, known: Connection, head: RequestHead) -> Carried | None:
        tunnel = known.tunnel
        site = _site(known, head)
        if site is None or not self._addon.credentials.knows(head.shown, tunnel):
            return None  # what must be compared first is the full lane's, which can wait
        url = at(site.url, head.path)
        request = Request(url, site.names, head.method, tunnel.client, tunnel.destination, user=tunnel.user)
        if self._site.serves(request) or may_hold_term(url, head.method):
            return None
        judgement = self._decide(request)
        if judgement.decision.blocked or judgement.decision.flagged:
            return None
        grants = self._filtering.grants
        if grants is not None and judgement.decision.override in grants.learning:
            return None  # what the page names is learnt there
        if tunnel.wrong and self._addon.credentials.asks(judgement, request, tunnel):
            return None
        if self._reads(known, request, judgement):
            return None
        return Carried(request, judgement, actions.new_reference())

    def _reads(self, known: Connection, request: Request, judgement: Judgement) -> bool:
        # Whether a rule reads what the site's pages say: that is the full lane's. Asked once for each host.
        policy = judgement.decision.policy_version  # two can be in force, each with a profile of this name
        asked = self._filtering.epoch, policy, judgement.profile.id, request.url.host
        if known.looked is None or known.looked[0] != asked:
            site = replace(request, url=replace(request.url, path="/", query=""))
            level = self._filtering.inspection(site, judgement.person).level
            known.looked = asked, level is Inspect.CONTENT
        return known.looked[1]

    def _decide(self, request: Request) -> Judgement:
        started = time.perf_counter()
        judgement = self._filtering.judge(request)
        self._metrics.decided(time.perf_counter() - started)
        return judgement


def _site(known: Connection, head: RequestHead) -> Site | None:
    # The site that all of the request's names agree on; None where they do not, and the full lane says so.
    # Requests on one connection are for one site, as a rule: asked once for each spelling of its names.
    tunnel = known.tunnel
    asked = (
        head.asked, head.host, tunnel.layered, tunnel.encrypted, tunnel.port, tunnel.sni, tunnel.connect,
        tunnel.destination,
    )  # fmt: skip
    kept = known.site
    if kept is not None and kept.asked == asked:
        return kept
    url = _url(tunnel, head)
    if url is None:
        return None
    known.site = Site(asked, url, _names(tunnel, url))
    return known.site


def _url(tunnel: Tunnel, head: RequestHead) -> Url | None:
    if tunnel.layered:
        return None
    explicit = tunnel.connect is None and not tunnel.encrypted and tunnel.port is None
    if head.asked.lower() != (head.host.lower() if explicit else ""):
        return None
    scheme = "https" if tunnel.encrypted else "http"
    url = parse_url(f"{scheme}://{head.host}/")
    if tunnel.port is not None and tunnel.port != url.port:
        url = replace(url, port=tunnel.port)
    if tunnel.encrypted and tunnel.sni is not None and tunnel.sni.host != url.host:
        return None
    return url


def _names(tunnel: Tunnel, url: Url) -> tuple[Url, ...]:
    # As in `translate.py`: the other names, as addresses of the same kind as the request's own.
    others = [name for name in (tunnel.sni, tunnel.connect) if name and name.host != url.host]
    return tuple([replace(name, scheme=url.scheme, port=url.port) for name in others])
