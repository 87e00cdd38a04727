"""Acting on a decision: the answer that goes out, and the record of it.

What lives only here: how an `Answer` becomes a mitmproxy response, how a passing body is counted
without being kept (H8), and what of an access goes into the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from mitmproxy import http

from appliance.filtering import Judgement
from appliance.gateway import references
from appliance.gateway.fields import without
from appliance.gateway.pages import Answer
from appliance.inspection.search import MAX_READ, may_hold_term, posted_term, search_term
from appliance.model.decision import Reason
from appliance.model.event import Access
from appliance.model.request import Request

# Fields with which a site offers another way in, past this gateway (H18), or an encoding that
# nobody here can read later (dictionary compression), and those between a client and its proxy: no site
# hears a password that was for us, and none asks for it in our name (RFC 9110 11.7).
_DROPPED_FROM_SITE = frozenset({b"alt-svc", b"proxy-authenticate", b"proxy-authentication-info"})
_DROPPED_FROM_CLIENT = frozenset({b"available-dictionary", b"http2-settings", b"proxy-authorization"})
_HOST = frozenset({b"host"})
_FINAL = 200  # statuses below are no answer yet, or end HTTP

new_reference = references.new_reference


@dataclass(slots=True)
class Carried:
    """One request on its way: what was decided, and how much has passed."""

    request: Request
    judgement: Judgement
    reference: str
    recorded: bool = False
    sent: int = 0
    received: int = 0
    form: bytearray | None = None
    """The beginning of a form that may hold search words; None where nobody looks for any."""
    kind: str = ""
    """The Content-Type of that form."""

    @property
    def term(self) -> str:
        """The words that were searched for, as far as they are known by now."""
        url = self.judgement.about or self.request.url
        return search_term(url) or (posted_term(url, self.kind, bytes(self.form)) if self.form else "")


def answer(flow: http.HTTPFlow, reply: Answer) -> None:
    """Answer `flow` ourselves; whatever body the client still sends is dropped."""
    body = b"" if flow.request.method == "HEAD" else reply.body
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in reply.headers]
    flow.response = http.Response.make(reply.status, body, http.Headers(headers))
    flow.request.headers.pop("expect", None)  # no "100 Continue": the answer is final
    flow.request.stream = True


def forward(flow: http.HTTPFlow, carried: Carried) -> None:
    """Let an allowed request go to the site that was judged, and to no other."""
    url = carried.request.url
    request = flow.request
    # The data fields, because mitmproxy's setters would rewrite headers by their own rules.
    request.data.host = url.host
    request.data.port = url.port
    without(request.headers, _DROPPED_FROM_CLIENT)
    if "h2c" in request.headers.get("upgrade", "").lower():
        del request.headers["upgrade"]
    _name_site(request, carried)
    request.stream = _counter(lambda size: setattr(carried, "sent", carried.sent + size))
    if may_hold_term(url, carried.request.method):
        carried.form, carried.kind = bytearray(), request.headers.get("content-type", "")
        request.stream = _reader(request.stream, carried.form)


def pass_back(flow: http.HTTPFlow, carried: Carried) -> None:
    """Let a site's answer stream to the client, counted and not kept."""
    if flow.response is None:
        return
    without(flow.response.headers, _DROPPED_FROM_SITE)
    flow.response.stream = _counter(lambda size: setattr(carried, "received", carried.received + size))


def end_with(flow: http.HTTPFlow, *, leaving: bool) -> None:
    """Let an HTTP/1 connection end with this answer if we leave; HTTP/2 ends as `pressure.py` has it."""
    response = flow.response
    if leaving and response is not None and response.status_code >= _FINAL and flow.client_conn.alpn != b"h2":
        response.headers["connection"] = "close"


def access_of(carried: Carried, status: int) -> Access:
    """Return what the log keeps: the address, or the tunnel's or encryption's name that was decisive.

    A floor hit keeps neither address nor host (ILL-1).
    """
    decision = carried.judgement.decision
    url = carried.judgement.about or carried.request.url
    hidden = decision.floor or decision.reason is Reason.FLOOR
    return Access(
        reference=carried.reference,
        at=datetime.now(UTC),
        person=carried.judgement.person,
        client=carried.request.client,
        host="" if hidden else url.host,
        url=None if hidden else str(url),
        method=carried.request.method,
        decision=decision,
        search_term="" if hidden else carried.term,
        status=status,
        bytes_sent=carried.sent,
        bytes_received=carried.received,
    )


def _name_site(request: http.Request, carried: Carried) -> None:
    # The site is told the name that was judged, not the spelling that was sent (H32).
    url = carried.request.url
    host = f"[{url.host}]" if ":" in url.host else url.host
    default = 443 if url.scheme == "https" else 80
    text = host if url.port == default else f"{host}:{url.port}"
    if request.is_http2:
        request.data.authority = text.encode()
        without(request.headers, _HOST)
    else:
        request.data.authority = b""  # the request line names no site: only the Host header does
        if request.headers.get_all("host") != [text]:
            request.headers["host"] = text


def _reader(count: Callable[[bytes], bytes], form: bytearray) -> Callable[[bytes], bytes]:
    # Read as it passes: nothing waits, and no more than the beginning is kept.
    def read(chunk: bytes) -> bytes:
        form.extend(chunk[: MAX_READ - len(form)])
        return count(chunk)

    return read


def _counter(add: Callable[[int], None]) -> Callable[[bytes], bytes]:
    def count(chunk: bytes) -> bytes:
        add(len(chunk))
        return chunk

    return count
