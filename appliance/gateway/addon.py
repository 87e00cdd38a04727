"""The hooks: where mitmproxy asks, and the filter answers.

What lives only here: which hook judges what, and when. Every hook fails closed (`closed.py`). Judging
happens on the names of a connection (to decide whether the site may be contacted yet) and again on each
request's headers; never later, because a body may already be on its way (H4).
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.closed import closed
from appliance.gateway.door import Doors, client_address
from appliance.gateway.layers import INVALID
from appliance.gateway.pages import Answer
from appliance.gateway.reach import Reach
from appliance.gateway.site import OwnSite
from appliance.gateway.translate import Tunnel, hello_of, host_of, request_of, target_of
from appliance.gateway.upstream import failure_of, permit
from appliance.model.decision import Reason
from appliance.model.event import Access
from appliance.model.request import Request
from appliance.model.url import Url

logger = logging.getLogger(__name__)

CARRIED = "carried"


class Recorder(Protocol):
    """Where judged accesses go."""

    async def record(self, access: Access) -> None:
        """Keep one access; a flagged one is durable when this returns."""


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


@dataclass(slots=True)
class Connection:
    """What the gateway remembers of one client connection."""

    tunnel: Tunnel
    permitted: set[tuple[str, int]] = field(default_factory=set)
    pending: Judgement | None = None
    """A block decided at the ClientHello that no request has shown to the client yet."""
    pending_request: Request | None = None
    faulty: Reason | None = None


class GatewayAddon:
    """Judges connections and requests, and acts on each decision."""

    name = "gateway"

    def __init__(
        self,
        *,
        filtering: Filtering,
        recorder: Recorder,
        metrics: Metrics,
        site: OwnSite,
        reach: Reach,
        doors: Doors,
        deadline: float,
    ) -> None:
        self.deadline = deadline
        self._filtering = filtering
        self._recorder = recorder
        self._metrics = metrics
        self._site = site
        self._reach = reach
        self._doors = doors
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[str, Connection] = {}

    # --- connections -----------------------------------------------------------------------------

    @closed
    def client_connected(self, client: connection.Client) -> None:
        """Remember who connected, and where a redirected connection was going."""
        self._metrics.connection()
        tunnel = Tunnel(client=client_address(client))
        if client.proxy_mode.type_name == "schooltransparent":
            tunnel.destination = host_of(client.sockname[0])
            tunnel.port = client.sockname[1]
        self._connections[client.id] = Connection(tunnel)

    @closed
    async def client_disconnected(self, client: connection.Client) -> None:
        """Forget the connection; an attempt that no page could answer is still recorded."""
        known = self._connections.pop(client.id, None)
        if known is not None and known.pending is not None:
            await self._record_pending(known)

    @closed
    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Judge the target of a tunnel. A blocked site still gets its tunnel, so that a page can be shown."""
        known = self._known(flow.client_conn)
        self._began(flow.client_conn)
        target = None if flow.metadata.get(INVALID) else target_of(flow)
        if target is None:
            await self._refuse_tunnel(flow, known, None, "the tunnel's target is no host name")
            return
        known.tunnel.connect = target
        known.tunnel.port = flow.request.port
        url = Url("https", target.host, flow.request.port, "/", "", target.ip)
        if self._site.owns(url):
            return  # our own pages, inside
        judgement = self._judge(Request(url, method="CONNECT", client=known.tunnel.client))
        if judgement.decision.reason in (Reason.PORT, Reason.OWN_NETWORK):
            # No page can be shown on such a port, and none is owed to such an address.
            await self._refuse_tunnel(flow, known, url, judgement.decision.because)

    @closed
    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Judge the names of an encrypted connection before its site is contacted (H13)."""
        known = self._known(data.context.client)
        tunnel = known.tunnel
        if not data.context.server.address and tunnel.connect is None:
            return  # the client speaks TLS to the proxy itself; its requests come inside
        tunnel.encrypted = True
        data.establish_server_tls_first = False
        request = hello_of(data.client_hello.sni, tunnel)
        if self._site.owns(request.url) and not request.refused:
            return  # our own pages: there is no site to contact
        judgement = self._judge(request)
        if judgement.decision.blocked:
            known.pending, known.pending_request = judgement, request
            return
        # The site is contacted under the name that was judged, at an address that we looked up; the
        # address that the client chose is not used (H11, H25).
        address = (request.url.host, request.url.port)
        data.context.server.address = address
        data.context.server.sni = request.url.host
        known.permitted.add(address)
        data.establish_server_tls_first = True

    @closed
    async def tls_failed_client(self, data: tls.TlsData) -> None:
        """Record a blocked attempt whose client would not accept our certificate, and so saw no page."""
        known = self._known(data.context.client)
        if known.pending is not None:
            await self._record_pending(known)

    @closed
    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Let the worker connect only to what was judged on this connection, and never inwards (H27)."""
        known = self._known(data.client)
        data.server.error = permit(data.server.address, known.permitted, self._reach) or None

    # --- requests --------------------------------------------------------------------------------

    @closed
    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Judge one request by its headers, and answer it or let it go."""
        started = time.perf_counter()
        known = self._known(flow.client_conn)
        self._began(flow.client_conn)
        known.pending = None
        request = request_of(flow, known.tunnel)
        if flow.metadata.get(INVALID):
            request = replace(request, refused="the request's headers contradict each other")
        if known.faulty is not None:
            await self._block(flow, request, self._failure(known.faulty, request.client))
        elif self._site.serves(request):
            self._site.begin(flow, request)
        else:
            await self._judge_request(flow, request, known)
        self._metrics.added_latency(time.perf_counter() - started)

    @closed
    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer the few requests that have a body for the gateway itself."""
        await self._site.finish(flow)

    @closed
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream an allowed answer through."""
        carried: actions.Carried | None = flow.metadata.get(CARRIED)
        if carried is not None and not carried.judgement.decision.blocked:
            actions.pass_back(flow, carried)

    @closed
    async def response(self, flow: http.HTTPFlow) -> None:
        """Record an access once its answer has passed."""
        if flow.response is not None:
            await self._finish(flow, flow.response.status_code)

    @closed
    async def error(self, flow: http.HTTPFlow) -> None:
        """Answer for a site that failed, and record the access."""
        carried: actions.Carried | None = flow.metadata.get(CARRIED)
        if carried is None or carried.judgement.decision.blocked:
            return
        message = flow.error.msg if flow.error else ""
        if flow.response is None and flow.server_conn.timestamp_start is None:
            message = flow.server_conn.error or message
        if flow.response is None and flow.client_conn.connected:
            await self._fail(flow, carried, message)
            return
        await self._finish(flow, flow.response.status_code if flow.response else 0)

    @closed
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Keep no message: mitmproxy would hold all of them until the socket closes (H7)."""
        if flow.websocket is not None:
            flow.websocket.messages.clear()

    # --- what the doors tell ---------------------------------------------------------------------

    def refused_head(self, client: connection.Client, text: str) -> None:
        """Count and log a request whose head never became readable."""
        self._metrics.incomplete()
        request = Request(host_of("invalid"), client=client_address(client), refused=text)
        carried = actions.Carried(request, self._filtering.judge(request), actions.new_reference())
        task = asyncio.get_running_loop().create_task(self._record(carried, 400))
        self._tasks.add(task)
        task.add_done_callback(self._recorded)

    def _recorded(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.fault("refused_head", Reason.FAULT, task.exception())

    def crashed(self, _client: connection.Client, kind: str) -> None:
        """Count and log a connection that was cut because mitmproxy failed in it."""
        self._metrics.fault(Reason.FAULT, "connection")
        logger.error("a connection was cut because handling it failed (%s)", kind)

    # --- closing ---------------------------------------------------------------------------------

    def fault(self, stage: str, reason: Reason, error: BaseException | None) -> None:
        """Log and count a fault. The text of the error may hold what a pupil sent, so it stays out."""
        self._metrics.fault(reason, stage)
        kind = type(error).__name__ if error is not None else "too slow"
        place = _place(error)
        logger.error("fault in %s, closed: %s (%s%s)", stage, reason.value, kind, place)

    def close(self, stage: str, data: Any, reason: Reason) -> None:
        """Make sure that nothing of `data` goes on."""
        if isinstance(data, http.HTTPFlow):
            self._close_flow(stage, data, reason)
        elif isinstance(data, tls.ClientHelloData):
            data.establish_server_tls_first = False
            # Without a connection that we know of, the first request on it fails closed as well.
            if (known := self._connections.get(data.context.client.id)) is not None:
                known.faulty = reason
        elif isinstance(data, server_hooks.ServerConnectionHookData):
            data.server.error = f"closed: {reason.value}"
        elif isinstance(data, connection.Client):
            data.error = f"closed: {reason.value}"

    def _close_flow(self, stage: str, flow: http.HTTPFlow, reason: Reason) -> None:
        if stage in ("requestheaders", "http_connect", "request", "error"):
            actions.answer(flow, self._closed_page(flow, reason))
        elif stage == "responseheaders" and flow.killable:
            flow.kill()
        elif stage == "websocket_message":
            # mitmproxy has no way to kill a socket, so its message goes nowhere and the connection is cut.
            for message in flow.websocket.messages if flow.websocket else ():
                message.drop()
            if (handler := self._doors.handler_of(flow.client_conn)) is not None:
                handler.cut()

    def _closed_page(self, flow: http.HTTPFlow, reason: Reason) -> Answer:
        try:
            known = self._known(flow.client_conn)
            request = Request(host_of("invalid"), client=known.tunnel.client)
            return self._site.page(self._failure(reason, known.tunnel.client), request, "")
        except Exception:  # noqa: BLE001 - the page failed as well; a bare answer still closes
            headers = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))
            return Answer(503, headers, b"The web filter could not check this page, so it stays closed.\n")

    # --- parts -----------------------------------------------------------------------------------

    def _known(self, client: connection.Client) -> Connection:
        return self._connections[client.id]

    def _began(self, client: connection.Client) -> None:
        handler = self._doors.handler_of(client)
        if handler is not None:
            handler.began = True

    def _judge(self, request: Request) -> Judgement:
        started = time.perf_counter()
        judgement = self._filtering.judge(request)
        self._metrics.decided(time.perf_counter() - started)
        return judgement

    def _failure(self, reason: Reason, client: str) -> Judgement:
        return self._filtering.judge_failure(reason, _FAILURES[reason], client)

    async def _judge_request(self, flow: http.HTTPFlow, request: Request, known: Connection) -> None:
        judgement = self._judge(request)
        if judgement.decision.blocked:
            await self._block(flow, request, judgement)
            return
        carried = actions.Carried(request, judgement, actions.new_reference())
        flow.metadata[CARRIED] = carried
        if judgement.decision.flagged:
            # Watched: in the log before the site hears of it.
            await self._record(carried, 0)
        if flow.server_conn.error and known.tunnel.encrypted:
            # The site was tried at the ClientHello, and failed; say so instead of trying again (H16).
            await self._fail(flow, carried, flow.server_conn.error)
            return
        known.permitted.add((request.url.host, request.url.port))
        actions.forward(flow, carried)

    async def _block(self, flow: http.HTTPFlow, request: Request, judgement: Judgement) -> None:
        carried = actions.Carried(request, judgement, actions.new_reference())
        flow.metadata[CARRIED] = carried
        reply = self._site.page(judgement, request, carried.reference)
        actions.answer(flow, reply)
        await self._record(carried, reply.status)

    async def _fail(self, flow: http.HTTPFlow, carried: actions.Carried, message: str) -> None:
        reason = failure_of(message)
        judgement = self._failure(reason, carried.request.client)
        failed = actions.Carried(carried.request, judgement, carried.reference, sent=carried.sent)
        flow.metadata[CARRIED] = failed
        reply = self._site.page(judgement, carried.request, carried.reference)
        actions.answer(flow, reply)
        await self._record(failed, reply.status)

    async def _refuse_tunnel(
        self, flow: http.HTTPFlow, known: Connection, url: Url | None, because: str
    ) -> None:
        refused = because if url is None else ""
        request = Request(
            url or host_of("invalid"), method="CONNECT", client=known.tunnel.client, refused=refused
        )
        await self._block(flow, request, self._judge(request))

    async def _finish(self, flow: http.HTTPFlow, status: int) -> None:
        carried: actions.Carried | None = flow.metadata.get(CARRIED)
        if carried is not None and not carried.recorded:
            await self._record(carried, status)

    async def _record(self, carried: actions.Carried, status: int) -> None:
        carried.recorded = True
        await self._recorder.record(actions.access_of(carried, status))

    async def _record_pending(self, known: Connection) -> None:
        judgement, request = known.pending, known.pending_request
        known.pending = None
        if judgement is not None and request is not None:
            await self._record(actions.Carried(request, judgement, actions.new_reference()), 0)


_FAILURES = {
    Reason.FAULT: "The filter had a fault, so the page stays closed.",
    Reason.DEADLINE: "The filter could not answer in time, so the page stays closed.",
    Reason.OWN_NETWORK: "This name leads into a private network, not to the web.",
    Reason.UPSTREAM_CERTIFICATE: "The site could not prove that it is the site it claims to be.",
    Reason.UPSTREAM_UNREACHABLE: "The site did not answer.",
}


def _place(error: BaseException | None) -> str:
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    code = trace.tb_frame.f_code
    return f" at {code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
