"""HTTP/1: the reading of heads.

What lives only here: how long a head may be and how long a request's may take, the reading of chunked
bodies without their trailers, and the plain answers to what is no HTTP at all. It stands in the place of
mitmproxy's own classes (see `layers.py`).
"""

from __future__ import annotations

import re
import time
from typing import Any, override

import h11
from mitmproxy import http as http_message
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _base, _events, _http1

HEAD_LIMIT = 65_536
"""Longest request head in bytes: request line and all header fields."""

HEAD_SECONDS = 30.0
"""Longest time that a request head may take to arrive, from its first byte."""

ANSWER_HEAD_LIMIT = 262_144
"""Longest head of a site's answer in bytes, as in browsers: else a hostile site could fill the memory."""

MOST_INTERIM = 32
"""Interim answers (1xx) that a site may send before its real one; a page has one or two."""

INVALID = "invalid"
"""Key in a flow's metadata: why mitmproxy's own checks (against request smuggling) refuse it."""

MALFORMED_MARK = "request head refused: "
"""How the handler recognises, in our own log commands, a request that never became a flow."""

_SWITCHED, _FINAL = 101, 200
_CONTROLS = re.compile(rb"[\r\n\0]")

INTERIM_HEAD = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")
"""How an interim answer begins. 101 is none: it ends HTTP on its connection."""


class TrailerDroppingReader(h11._readers.ChunkedReader):  # noqa: SLF001 - h11 has no public name for it
    """Reads a chunked body and drops its trailers, as RFC 9110 6.5.1 lets an intermediary do.

    mitmproxy's HTTP/1 layer crashes on trailers and leaves both sides hanging (H29).
    """

    def __call__(self, buf: Any) -> Any:
        """Return h11's next event."""
        event = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event


# One of two names of mitmproxy's that are replaced: its body reader has no other seam.
setattr(_http1, "ChunkedReader", TrailerDroppingReader)  # noqa: B010 - said aloud, as it replaces a name


class GatewayHttp1Server(_http1.Http1Server):
    """HTTP/1 from the client: a bounded head, answered in our own words when it is refused."""

    _head_started: float | None = None

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if not isinstance(event, events.Wakeup):
            yield from super()._handle_event(event)
        elif self.state == self.read_headers and self._head_started is not None:
            # A client that began a head and fell silent gets its answer, too.
            problem = self._head_problem()
            if problem:
                yield from self._refuse_head(*problem)

    @override
    def read_headers(self, event: events.ConnectionEvent) -> CommandGenerator[None]:
        begins = self._head_started is None
        if isinstance(event, events.DataReceived):
            problem = self._head_problem()
            if problem:
                yield from self._refuse_head(*problem)
                return
        elif bytes(self.buf).strip():
            yield commands.Log(f"{MALFORMED_MARK}The client left before its request was whole.")
        for command in super().read_headers(event):
            if isinstance(command, commands.SendData):
                # mitmproxy's own "400 Bad Request": the head could not be parsed. Nothing after it counts.
                yield from self._refuse_head(400, "This request is not valid HTTP.")
                return
            yield command
        if self.state != self.read_headers or not self.buf:  # a blank line alone begins no head
            self._head_started = None
        elif begins and self._head_started is not None:
            yield commands.RequestWakeup(HEAD_SECONDS)

    @override
    def send(self, event: _events.HttpEvent) -> CommandGenerator[None]:
        if isinstance(event, _events.ResponseProtocolError) and self.response is None:
            status = event.code.http_status_code()
            if event.code is _events.ErrorCode.DESTINATION_UNKNOWN:
                yield commands.Log(f"{MALFORMED_MARK}The request names no host.")
            if status is not None and self.conn.connected:
                answer = plain_answer(status, "This request could not be carried out.")
                yield commands.SendData(self.conn, answer)
                yield commands.CloseConnection(self.conn)
                return
        yield from super().send(event)

    def _refuse_head(self, status: int, text: str) -> CommandGenerator[None]:
        self.state = self.done
        yield commands.Log(f"{MALFORMED_MARK}{text}")
        yield commands.SendData(self.conn, plain_answer(status, text))
        yield commands.CloseConnection(self.conn)

    def _head_problem(self) -> tuple[int, str] | None:
        now = time.monotonic()
        if self._head_started is None:
            self._head_started = now
        if now - self._head_started >= HEAD_SECONDS:
            return 408, "The request took too long to arrive."
        if len(self.buf) > HEAD_LIMIT and not _complete(self.buf):
            return 431, "The request's address and headers are too long."
        return None


class GatewayHttp1Client(_http1.Http1Client):
    """HTTP/1 towards a site: a bounded head, the real answer only, and a body that is always framed."""

    _interim = 0

    @override
    def send(self, event: _events.HttpEvent) -> CommandGenerator[None]:
        if isinstance(event, _events.RequestHeaders):
            self._interim = 0
        if isinstance(event, _events.RequestHeaders) and event.request.is_http2 and not event.end_stream:
            # An HTTP/2 body needs no length. Sent on without one, it would read as the next request,
            # one that nobody judged (request smuggling).
            headers = event.request.headers
            if "content-length" not in headers:
                headers["transfer-encoding"] = "chunked"
        yield from super().send(event)

    @override
    def read_headers(self, event: events.ConnectionEvent) -> CommandGenerator[None]:
        if self.stream_id is None:
            yield from super().read_headers(event)
            return
        self._pass_over_interim()
        if self._interim > MOST_INTERIM:
            yield from self._give_up(self.stream_id, "the site never comes to its answer")
        elif len(self.buf) > ANSWER_HEAD_LIMIT and not _complete(self.buf, ANSWER_HEAD_LIMIT):
            yield from self._give_up(self.stream_id, "the site's headers are too long")
        elif bytes(self.buf).startswith((b"\r", b"\n")):
            # mitmproxy would take them for an empty head, and wait for ever.
            yield from self._give_up(self.stream_id, "the answer begins with a blank line")
        else:
            yield from super().read_headers(event)

    def _pass_over_interim(self) -> None:
        # mitmproxy takes 100, 102 or 103 (Early Hints) for the answer itself, and the answer for junk.
        # They are not sent on: "100 Continue" was said already, and of hints nothing depends (RFC 8297).
        # 101 is a real answer: it ends HTTP on this connection.
        while self._interim <= MOST_INTERIM and INTERIM_HEAD.match(bytes(self.buf)):
            if self.buf.maybe_extract_lines() is None:
                break  # not whole yet
            self._interim += 1

    def _give_up(self, stream_id: int, why: str) -> CommandGenerator[None]:
        self.state = self.done
        yield commands.CloseConnection(self.conn)
        code = _events.ErrorCode.GENERIC_SERVER_ERROR
        yield _base.ReceiveHttp(_events.ResponseProtocolError(stream_id, why, code))


# The other: mitmproxy makes its connections to sites itself, and asks nobody of which class.
setattr(http, "Http1Client", GatewayHttp1Client)  # noqa: B010 - said aloud, as it replaces a name


def _complete(buffer: Any, limit: int = HEAD_LIMIT) -> bool:
    # Only the first bytes count: a body behind a short head is no long head.
    start = bytes(buffer)[:limit]
    return b"\r\n\r\n" in start or b"\n\n" in start


def tidy(request: http_message.Request, response: http_message.Response) -> None:
    """Unfold the fields of a site's answer (RFC 9112 5.2); ValueError where programs would not read it alike.

    To browsers a carriage return ends a line; mitmproxy passes it on, and reads past it.
    """
    switches = response.status_code == _SWITCHED and "upgrade" in request.headers
    if response.status_code < _FINAL and not switches:
        raise ValueError("the status is none that was asked for")
    if _CONTROLS.search(b" ".join([value for _, value in response.headers.fields])) is None:
        return  # as nearly always
    fields = tuple((name, value.replace(b"\r\n ", b" ")) for name, value in response.headers.fields)
    if any(_CONTROLS.search(value) for _, value in fields):
        raise ValueError("a field holds control characters")
    response.headers.fields = fields


def plain_answer(status: int, text: str) -> bytes:
    """Return a whole HTTP/1.1 answer in plain text, for clients that sent no readable request."""
    body = f"{text}\n".encode()
    reason = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
    lines = [
        f"HTTP/1.1 {status} {reason.get(status, 'Error')}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
