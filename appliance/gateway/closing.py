"""What closing means: nothing of what a hook was asked about goes on, and that is on record.

What lives only here: how each kind of mitmproxy's data is closed (see `closed.py`), with which answer, and
how the fault is told and recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import Any

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.answers import CLOSED, Answer
from appliance.gateway.attempts import Attempts, Connection, Metrics
from appliance.gateway.closed import FAILURES, place_of
from appliance.gateway.door import Doors
from appliance.gateway.peers import peer_of
from appliance.gateway.site import OwnSite
from appliance.gateway.translate import Tunnel, request_of
from appliance.model.decision import Reason
from appliance.model.request import Request

logger = logging.getLogger(__name__)

CARRIED = "carried"
"""Key in a flow's metadata: what was decided of it (`actions.Carried`)."""

_ANSWERABLE = ("requestheaders", "http_connect", "request", "error")
"""The hooks in which a client can still be answered."""


class Closing:
    """What every hook of the gateway falls back on."""

    attempts: Attempts
    connections: dict[str, Connection]
    """By the client's id."""
    _filtering: Filtering
    _metrics: Metrics
    _site: OwnSite
    _doors: Doors

    def fault(self, stage: str, reason: Reason, error: BaseException | None) -> None:
        """Log and count a fault. The text of the error may hold what a pupil sent, so it stays out."""
        self._metrics.fault(reason, stage)
        kind = type(error).__name__ if error is not None else "too slow"
        place = place_of(error)
        logger.error("fault in %s, closed: %s (%s%s)", stage, reason.value, kind, place)

    def close(self, stage: str, data: Any, reason: Reason) -> asyncio.Task[None] | None:
        """Make sure that nothing of `data` goes on, and return the record of it on its way."""
        if isinstance(data, http.HTTPFlow):
            return self._close_flow(stage, data, reason)
        if isinstance(data, tls.ClientHelloData):
            data.establish_server_tls_first = False
            # Without a connection that we know of, the first request on it fails closed as well.
            if (known := self.connections.get(data.context.client.id)) is not None:
                known.faulty = reason
                with contextlib.suppress(Exception):  # closed it is, also where nobody can say for whom
                    known.refused(known.request(), self._failure(reason, known.tunnel))
        elif isinstance(data, server_hooks.ServerConnectionHookData):
            data.server.error = f"closed: {reason.value}"
        elif isinstance(data, connection.Client):
            data.error = f"closed: {reason.value}"
            return self._keep_fault(stage, data, reason)[1]
        return None

    def _close_flow(self, stage: str, flow: http.HTTPFlow, reason: Reason) -> asyncio.Task[None] | None:
        failed, record = self._keep_fault(stage, flow.client_conn, reason, flow)
        if stage in _ANSWERABLE:
            actions.answer(flow, self._closed_page(failed))
        elif stage == "responseheaders" and flow.killable:
            flow.kill()
        elif stage == "websocket_message":
            # mitmproxy has no way to kill a socket, so its message goes nowhere and the connection is cut.
            for message in flow.websocket.messages if flow.websocket else ():
                message.drop()
            if (handler := self._doors.handler_of(flow.client_conn)) is not None:
                handler.cut()
        return record

    def _keep_fault(
        self, stage: str, client: connection.Client, reason: Reason, flow: http.HTTPFlow | None = None
    ) -> tuple[actions.Carried | None, asyncio.Task[None] | None]:
        """Put what was closed on record, and return it with the task that does so; must not raise."""
        try:
            known = self.connections.get(client.id) or Connection(Tunnel(peer_of(client)))
            carried = flow.metadata.get(CARRIED) if flow is not None else None
            if not isinstance(carried, actions.Carried):
                request = request_of(flow, known.tunnel) if flow and stage != "http_connect" else None
                asked = request or known.request()
                carried = actions.Carried(asked, self._failure(reason, known.tunnel), "")
            elif carried.recorded and carried.judgement.decision.blocked:
                return carried, None  # it is on record as refused already, or its record is on its way
            known.pending = None
            failed = replace(
                carried,
                judgement=self._failure(reason, known.tunnel),
                reference=actions.new_reference(),
            )
            if flow is not None:
                flow.metadata[CARRIED] = failed
            return failed, self.attempts.soon("", failed, 503 if stage in _ANSWERABLE else 0)
        except Exception:  # noqa: BLE001 - the fault itself is counted and told in any case
            return None, None

    def _closed_page(self, failed: actions.Carried | None) -> Answer:
        with contextlib.suppress(Exception):  # the page failed as well; a bare answer still closes
            if failed is not None and failed.judgement.decision.reason in FAILURES:
                return self._site.page(failed.judgement, failed.request, failed.reference)
        return CLOSED

    def _failure(self, reason: Reason, who: Request | Tunnel) -> Judgement:
        return self._filtering.judge_failure(reason, FAILURES[reason], who.client, who.user)
