"""The hooks: where mitmproxy asks, and the filter answers.

What lives only here: which hook judges what, and when. Every hook fails closed (`closed.py`). Judging
happens on the names of a connection (to decide whether the site may be contacted yet) and again on each
request's headers; never later, because a body may already be on its way (H4).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.attempts import Attempts, Connection, Metrics, Recorder
from appliance.gateway.closed import closed, closed_soon
from appliance.gateway.closing import CARRIED, Closing
from appliance.gateway.credentials import ASK, HEADER, Credentials, refused
from appliance.gateway.door import Doors
from appliance.gateway.handshakes import Handshakes, kind_of
from appliance.gateway.heads import INVALID
from appliance.gateway.lived import lives_by
from appliance.gateway.parts import Parts
from appliance.gateway.peers import peer_of
from appliance.gateway.reach import Reach
from appliance.gateway.site import OwnSite
from appliance.gateway.tls import speaks_http2
from appliance.gateway.translate import Tunnel, connect_of, hello_of, host_of, request_of, target_of
from appliance.gateway.upstream import failure_of, permit
from appliance.model.decision import Reason
from appliance.model.request import Request

logger = logging.getLogger(__name__)


class GatewayAddon(Closing):
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
        handshakes: Handshakes,
        lean: bool = False,
        http2: bool = True,
        credentials: Credentials | None = None,
    ) -> None:
        self.deadline = deadline
        self._filtering, self._metrics = filtering, metrics
        self._site, self._reach = site, reach
        self._parts = Parts(filtering, site)
        self._doors = doors
        self.attempts = Attempts(recorder, self.fault)
        self._handshakes = handshakes
        self._lean, self._http2 = lean, http2
        self.credentials = credentials or Credentials()
        self.connections: dict[str, Connection] = {}

    # --- connections -----------------------------------------------------------------------------

    @closed
    def client_connected(self, client: connection.Client) -> None:
        """Remember who connected, and where a redirected connection was going."""
        handler = self._doors.handler_of(client)
        tunnel = handler.tunnel if handler is not None else None
        if tunnel is None:
            tunnel = Tunnel(client=peer_of(client))
            if client.proxy_mode.type_name == "schooltransparent":
                tunnel.destination, tunnel.port = host_of(client.sockname[0]), client.sockname[1]
        if tunnel.connect is None:  # else the door opened this tunnel, judged its target, and counted it
            self._metrics.connection()
        self.connections[client.id] = Connection(tunnel)

    @closed
    async def client_disconnected(self, client: connection.Client) -> None:
        """Forget the connection; an attempt that no page could answer is still recorded."""
        known = self.connections.pop(client.id, None)
        if known is not None and (pending := known.take_pending()) is not None:
            await self.attempts.record(pending, 0)

    @closed
    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Judge the target of a tunnel. A blocked site still gets its tunnel, so that a page can be shown."""
        known = self._known(flow.client_conn)
        self.began(flow.client_conn)
        target, tunnel = target_of(flow), known.tunnel
        await self.credentials.learn(flow.request.headers.get_all(HEADER), tunnel)
        if target is None or flow.metadata.get(INVALID):
            because = "the tunnel's target is no host name, or it is a tunnel within a tunnel"
            request = connect_of(target or host_of("invalid"), flow.request.port, tunnel, because)
            await self._block(flow, request, self._judge(request, flow.client_conn))
            return
        tunnel.connect, tunnel.port = target, flow.request.port
        request = connect_of(target, flow.request.port, tunnel)
        judgement = self._judge(request, flow.client_conn)
        asked = self.credentials.asks(judgement, request, tunnel)
        if asked or judgement.decision.reason in (Reason.PORT, Reason.OWN_NETWORK):
            # No page can be shown on such a port, and none is owed to such an address. There is no tunnel:
            # what comes next is said to the proxy again.
            tunnel.connect = tunnel.port = None
            await self._block(flow, request, judgement, asked=asked)
        elif judgement.decision.blocked and not self._parts.answered(request, judgement):
            known.refused(request, judgement)  # on record even if nothing comes through the tunnel

    @closed
    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Judge the names of an encrypted connection before its site is contacted (H13)."""
        known = self._known(data.context.client)
        tunnel = known.tunnel
        if not data.context.server.address and tunnel.connect is None:
            return  # the client speaks TLS to the proxy itself; its requests come inside
        data.establish_server_tls_first = False
        if tunnel.encrypted:
            # Encryption within what we have opened: an attempt of its own, after one that saw no page.
            tunnel.layered = True
            if (pending := known.take_pending()) is not None:
                _ = self.attempts.soon("tls_clienthello", pending)
        tunnel.encrypted = True
        request = hello_of(data.client_hello.sni, tunnel)
        judgement = self._judge(request, data.context.client)
        known.pending = None  # what was refused at CONNECT is the same attempt
        if judgement.decision.blocked:
            if not self._parts.answered(request, judgement):
                known.refused(request, judgement)
            return
        if judgement.decision.reason is Reason.OWN_PAGE:
            return  # there is no site to contact: we answer ourselves
        # The site is contacted under the name that was judged, at an address that we looked up; the
        # address that the client chose is not used (H11, H25).
        address = (request.url.host, request.url.port)
        data.context.server.address = address
        data.context.server.sni = request.url.host
        known.permitted.add(address)
        # The lean lane has connections of its own; what the site speaks matters to clients of HTTP/2 only.
        contact = not self._lean or speaks_http2(data.client_hello.alpn_protocols, offered=self._http2)
        data.establish_server_tls_first = contact

    @closed
    async def tls_failed_client(self, data: tls.TlsData) -> None:
        """Record a blocked attempt whose client would not accept our certificate, and so saw no page."""
        known, why = self._known(data.context.client), data.conn.error or ""
        self._metrics.handshake_failed(kind_of(why))
        if (pending := known.take_pending()) is not None:
            await self.attempts.record(pending, 0)
        elif known.tunnel.sni is not None:
            self._handshakes.failed(known.tunnel.sni.host, why, datetime.now(UTC).date())

    @closed
    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Let the worker connect only to what was judged on this connection, and never inwards (H27)."""
        known = self._known(data.client)
        data.server.error = permit(data.server.address, known.permitted, self._reach) or None

    # --- requests --------------------------------------------------------------------------------

    @closed_soon
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Judge one request by its headers, and answer it or let it go."""
        started, known = time.perf_counter(), self._known(flow.client_conn)
        self.began(flow.client_conn)
        if not self.credentials.knows(flow.request.headers.get_all(HEADER), known.tunnel):
            return self._compare(flow, known, started)
        waiting = self._judge_headers(flow, known)
        if waiting is not None:
            return self._timed(waiting, started)
        self._metrics.added_latency(time.perf_counter() - started)
        return None

    @closed_soon
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Answer the few requests that have a body for the gateway itself."""
        return self._take(flow) if self._site.awaits(flow) else None

    async def _take(self, flow: http.HTTPFlow) -> None:
        taken = await self._site.finish(flow)
        if taken is None:
            return
        known = self._known(flow.client_conn)
        if taken:
            known.pending = None  # the form is of a page that was shown, and recorded, before
            return
        # A form that no page of ours made: an attempt like any other, on a site like any other.
        request = request_of(flow, known.tunnel)
        judgement = self._judge(request, flow.client_conn)
        if judgement.decision.blocked:
            await self._block(flow, request, judgement)

    @closed_soon
    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Stream an allowed answer through; what must not pass is on record first."""
        no_part = self._parts.pass_back(flow, flow.metadata.get(CARRIED))
        actions.end_with(flow, leaving=self._doors.leaving)
        if no_part is None:
            return None
        flow.metadata[CARRIED] = no_part
        return self.attempts.record(no_part, 403)

    @closed_soon
    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Record an access once its answer has passed."""
        return None if flow.response is None else self._finish(flow, flow.response.status_code)

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
        waiting = self._finish(flow, flow.response.status_code if flow.response else 0)
        if waiting is not None:
            await waiting

    @closed
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Keep no message: mitmproxy would hold all of them until the socket closes (H7)."""
        if flow.websocket is not None:
            flow.websocket.messages.clear()

    # --- what the doors tell ---------------------------------------------------------------------

    def refused_head(self, client: connection.Client, text: str) -> None:
        """Count and log a request whose head never became readable."""
        self._metrics.incomplete()
        known = self.connections.get(client.id)
        carried = known.take_pending() if known is not None else None
        if carried is None:
            request = (known or Connection(Tunnel(peer_of(client)))).request(text)
            carried = actions.Carried(request, self._filtering.judge(request), actions.new_reference())
        _ = self.attempts.soon("refused_head", carried, 400)

    def crashed(self, client: connection.Client, kind: str) -> None:
        """Count and log a connection that was cut because mitmproxy failed in it."""
        self._metrics.fault(Reason.FAULT, "connection")
        logger.error("a connection was cut because handling it failed (%s)", kind)
        self._keep_fault("connection", client, Reason.FAULT)

    def _known(self, client: connection.Client) -> Connection:
        return self.connections[client.id]

    def began(self, client: connection.Client) -> None:
        """Note that a request or tunnel of this connection was whole."""
        if (handler := self._doors.handler_of(client)) is not None:
            handler.began = True

    def _judge(self, request: Request, client: connection.Client) -> Judgement:
        started = time.perf_counter()
        judgement = self._filtering.judge(request)
        self._metrics.decided(time.perf_counter() - started)
        lives_by(self._doors, client, judgement.overrides)
        return judgement

    async def _compare(self, flow: http.HTTPFlow, known: Connection, started: float) -> None:
        await self.credentials.learn(flow.request.headers.get_all(HEADER), known.tunnel)
        if (waiting := self._judge_headers(flow, known)) is not None:
            await waiting
        self._metrics.added_latency(time.perf_counter() - started)

    async def _timed(self, waiting: Awaitable[None], started: float) -> None:
        await waiting
        self._metrics.added_latency(time.perf_counter() - started)

    def _judge_headers(self, flow: http.HTTPFlow, known: Connection) -> Awaitable[None] | None:
        request = request_of(flow, known.tunnel)
        if flow.metadata.get(INVALID):
            request = replace(request, refused="the request's headers contradict each other")
        if known.faulty is not None:
            return self._block(flow, request, self._failure(known.faulty, request))
        if self._site.answers(flow, request):
            self._site.begin(flow, request)
            return None
        return self._judge_request(flow, request, known)

    def _judge_request(
        self, flow: http.HTTPFlow, request: Request, known: Connection
    ) -> Awaitable[None] | None:
        request = self._parts.read(flow, request)
        judgement = self._judge(request, flow.client_conn)
        asked = self.credentials.asks(judgement, request, known.tunnel)
        if asked or judgement.decision.blocked:
            return self._block(flow, request, judgement, asked=asked)
        known.pending = None
        carried = actions.Carried(request, judgement, actions.new_reference())
        flow.metadata[CARRIED] = carried
        if self._site.serves(request):
            self._site.begin(flow, request)  # this path leads to no site, whoever asks for it and how
            return None
        # What has failed, or is watched, waits for the log; the rest need not.
        if judgement.decision.flagged or (flow.server_conn.error and known.tunnel.encrypted):
            return self._send(flow, carried, known)
        self._forward(flow, carried, known)
        return None

    async def _send(self, flow: http.HTTPFlow, carried: actions.Carried, known: Connection) -> None:
        if carried.judgement.decision.flagged:
            # Watched: in the log before the site hears of it.
            await self.attempts.record(carried, 0)
        if flow.server_conn.error and known.tunnel.encrypted:
            # The site was tried at the ClientHello, and failed; say so instead of trying again (H16).
            await self._fail(flow, carried, flow.server_conn.error)
            return
        self._forward(flow, carried, known)

    def _forward(self, flow: http.HTTPFlow, carried: actions.Carried, known: Connection) -> None:
        url = carried.request.url
        known.permitted.add((url.host, url.port))
        self._parts.forward(flow, carried)

    async def _block(
        self, flow: http.HTTPFlow, request: Request, judgement: Judgement, *, asked: bool = False
    ) -> None:
        self._known(flow.client_conn).pending = None
        judgement = refused(judgement) if asked else judgement
        carried = actions.Carried(request, judgement, actions.new_reference())
        flow.metadata[CARRIED] = carried
        reply = ASK if asked else self._site.page(judgement, request, carried.reference)
        actions.answer(flow, reply)
        await self.attempts.record(carried, reply.status)

    async def _fail(self, flow: http.HTTPFlow, carried: actions.Carried, message: str) -> None:
        reason = failure_of(message)
        judgement = self._failure(reason, carried.request)
        failed = actions.Carried(carried.request, judgement, carried.reference, sent=carried.sent)
        flow.metadata[CARRIED] = failed
        reply = self._site.page(judgement, carried.request, carried.reference)
        actions.answer(flow, reply)
        await self.attempts.record(failed, reply.status)

    def _finish(self, flow: http.HTTPFlow, status: int) -> Awaitable[None] | None:
        carried: actions.Carried | None = flow.metadata.get(CARRIED)
        return None if carried is None or carried.recorded else self.attempts.keep(carried, status)
