"""Our own HTTP layers inside mitmproxy's layer system.

What lives only here: the places where mitmproxy's HTTP handling does not suit a filter, each by a
subclass. (1) A refusal is answered when the headers are judged, and the body that may follow is
dropped, not stored and not sent on (H4, H5, H6). (2) Errors are answered with our own page, and only
once (H16). (3) Whatever comes is read: nothing is relayed (H10, H11). mitmproxy is pinned to 12.2.3;
`tests/gateway/test_layers.py` fails when an upgrade changes what is relied on here.
"""

from __future__ import annotations

from typing import override

import h2.errors
from mitmproxy import flow as mitmflow
from mitmproxy.addons import next_layer
from mitmproxy.http import MessageData, Response
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http, modes
from mitmproxy.proxy.layers.http import _events
from mitmproxy.proxy.layers.http._hooks import HttpConnectHook, HttpErrorHook

from appliance.gateway.heads import INVALID, MALFORMED_MARK, GatewayHttp1Server, tidy
from appliance.gateway.hooks import Answering, above
from appliance.gateway.lane import LeanLayer
from appliance.gateway.lane_judge import Lane
from appliance.gateway.lane_wire import shorten
from appliance.gateway.lingering import UNREAD_MARK
from appliance.gateway.pressure import GatewayHttp2Server
from appliance.gateway.records import GatewayClientTls, GatewayServerTls
from appliance.gateway.websocket import GatewayWebsocketLayer  # noqa: F401 - stands in mitmproxy's place

DISCARD_LIMIT = 1_048_576
"""Bytes of a refused upload that are read and dropped, so that the client reads the answer."""

_REFUSED = 400  # statuses from here on open no tunnel
_HTTP1 = ("HTTP/1.1", "HTTP/1.0")
_TLS_HANDSHAKE = 0x16
_TLS_START = 3  # bytes by which mitmproxy tells a TLS record from anything else


def _nothing_to_check(_: MessageData) -> None:
    """Take a message as its own parsers made it."""


# mitmproxy looks through the types of each message's fields, in case an addon's author erred: an eighth of
# what a request costs in the full lane. `python -O` would leave that out, too, and every assertion with it.
setattr(MessageData, "__post_init__", _nothing_to_check)  # noqa: B010 - said aloud, as it replaces a method


class GatewayStream(http.HttpStream):
    """One request and its response, answered by us as soon as it is refused."""

    _discarded = 0

    @override
    def check_invalid(self, request: bool) -> CommandGenerator[bool]:
        if request:
            # Told to the addon, which answers with our page; mitmproxy would answer with its own.
            problem = http.validate_request(self.mode, self.flow.request, validate_inbound_headers=True)
            if self.context.client.alpn != b"h2" and self.flow.request.http_version not in _HTTP1:
                problem = "unknown version of HTTP"
            if problem:
                self.flow.metadata[INVALID] = problem
            return False
        try:
            if self.flow.response is not None:
                validate_headers(self.flow.response)
                tidy(self.flow.request, self.flow.response)
        except ValueError as error:
            yield commands.CloseConnection(self.flow.server_conn)
            self.flow.response = None
            code = _events.ErrorCode.RESPONSE_VALIDATION_FAILED
            yield from self.handle_protocol_error(
                _events.ResponseProtocolError(self.stream_id, f"invalid response: {error}", code)
            )
            return True
        return False

    @override
    def start_request_stream(self) -> CommandGenerator[None]:
        if self.flow.response is None:
            yield from super().start_request_stream()
            if self.flow.response is not None and self.client_state == self.state_errored:
                # No connection to the site: our page is out, the upload goes nowhere.
                self.client_state = self._discard_request_body
            return
        self.client_state = self._discard_request_body
        yield from self.send_response()

    @override
    def handle_connect(self) -> CommandGenerator[None]:
        if self.mode is http.HTTPMode.regular:
            yield from super().handle_connect()
            return
        # mitmproxy would lead the connection elsewhere first, and fails where it leads to a site already.
        self.client_state = self.state_done
        yield HttpConnectHook(self.flow)
        if not (yield from self.check_killed(emit_error_hook=False)):
            yield from self.handle_connect_upstream()

    @override
    def handle_connect_upstream(self) -> CommandGenerator[None]:
        # A CONNECT inside a tunnel or a redirected connection: the addon refuses it, and where it did
        # not, nothing is opened either.
        if self.flow.response is None or self.flow.response.status_code < _REFUSED:
            self.flow.response = Response.make(400, b"This request is not valid here.\n")
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]  # mitmproxy types it not

    def _discard_request_body(self, event: events.Event) -> CommandGenerator[None]:
        # The answer has gone out. What still comes is read, so that a browser which sends first and
        # reads later sees the answer, up to a limit; after that the connection or stream ends.
        if isinstance(event, _events.RequestData):
            self._discarded += len(event.data)
            if self._discarded > DISCARD_LIMIT:
                self.client_state = self.state_errored
                if self.context.client.alpn != b"h2":
                    yield commands.Log(UNREAD_MARK)
                yield http.SendHttp(
                    _events.ResponseProtocolError(self.stream_id, "upload refused", _events.ErrorCode.CANCEL),
                    self.context.client,
                )
                yield http.DropStream(self.stream_id)
        elif isinstance(event, _events.RequestEndOfMessage):
            self.client_state = self.state_done
            yield from self.flow_done()

    @override
    def handle_protocol_error(
        self, event: _events.RequestProtocolError | _events.ResponseProtocolError
    ) -> CommandGenerator[None]:
        answerable = (
            isinstance(event, _events.ResponseProtocolError)
            and event.code.http_status_code() is not None
            and self.flow.response is None
            and self.client_state != self.state_errored
        )
        if not answerable:
            yield from super().handle_protocol_error(event)
            return
        # The site failed before it answered: the `error` hook puts our page into flow.response.
        self.flow.error = mitmflow.Error(event.message)
        yield HttpErrorHook(self.flow)
        if (yield from self.check_killed(emit_error_hook=False)):
            return
        if self.flow.response is None:
            yield http.SendHttp(event, self.context.client)
            self.server_state = self.state_errored
            self.flow.live = False
            yield http.DropStream(self.stream_id)
            return
        if self.client_state != self.state_done:
            self.client_state = self._discard_request_body
        yield from self.send_response()
        self.server_state = self.state_errored  # whatever the site still sends is nobody's


class TellingHttp2Server(GatewayHttp2Server):
    """HTTP/2 from the client: what breaks its rules is told, so that the attempt is on record."""

    @override
    def protocol_error(
        self, message: str, error_code: int = h2.errors.ErrorCodes.PROTOCOL_ERROR
    ) -> CommandGenerator[None]:
        # The text may hold what the client sent, so it stays out (H30).
        yield commands.Log(f"{MALFORMED_MARK}The request breaks the rules of HTTP/2.")
        yield from super().protocol_error(message, error_code)


class GatewayHttpLayer(http.HttpLayer):
    """mitmproxy's HTTP layer, with our streams and our servers; hooks are answered here."""

    _above: Answering | None = None

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.Start):
            # The parent fills this only where nothing stands yet.
            server = TellingHttp2Server if self.context.client.alpn == b"h2" else GatewayHttp1Server
            self.connections[self.context.client] = server(self.context.fork())
            self._above = above(self.context.client)
        if self._above is None:
            yield from super()._handle_event(event)
        else:
            yield from self._above.answered(super()._handle_event, event)

    @override
    def make_stream(self, stream_id: int) -> CommandGenerator[None]:
        # A fork, but without the server that mitmproxy makes for each, to throw it away at once.
        context = Context.__new__(Context)
        vars(context).update(vars(self.context), layers=self.context.layers.copy())
        self.streams[stream_id] = GatewayStream(context, stream_id)
        yield from self.event_to_child(self.streams[stream_id], events.Start())


class GatewayNextLayer(next_layer.NextLayer):
    """Chooses layers: TLS that is opened, or HTTP. Nothing is ever relayed unread (H10, H11)."""

    name = "nextlayer"

    def __init__(self, lane: Lane | None = None) -> None:
        """Begin; without a `lane` everything is carried in the full one."""
        self._lane = lane

    @override
    def _next_layer(self, context: Context, data_client: bytes, data_server: bytes) -> layer.Layer | None:
        if not data_client:
            return None
        explicit = len(context.layers) == 1 and isinstance(context.layers[0], modes.HttpProxy)
        if explicit:
            # TLS spoken to the proxy's own port as well: it is no request, and is told so (HTTP/1 reader).
            return self._plain(context, http.HTTPMode.regular)
        if starts_like_tls_record(data_client):
            return _tls_stack(context)
        if data_client[0] == _TLS_HANDSHAKE and len(data_client) < _TLS_START:
            raise next_layer.NeedsMoreData
        return self._plain(context, http.HTTPMode.transparent)

    def _plain(self, context: Context, mode: http.HTTPMode) -> layer.Layer:
        lane = self._lane
        link = lane.link(context.client) if lane is not None and lane.takes(context) else None
        if lane is None or link is None:
            return GatewayHttpLayer(context, mode)
        link.shorten = shorten
        return LeanLayer(context, lane, link, lambda: GatewayHttpLayer(context, mode))


def _tls_stack(context: Context) -> layer.Layer:
    server = GatewayServerTls(context)
    server.child_layer = GatewayClientTls(context)
    return server
