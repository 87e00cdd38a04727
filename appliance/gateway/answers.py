"""What an answer of the gateway's own looks like on the wire: status, headers, and small bodies.

What lives only here: which status a reason gets, the headers that make a page run and fetch nothing,
and the least answer that suits a browser which wanted an image, a script, a style, data or a socket.
It knows no proxy and no template: an `Answer` is plain values.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass

from appliance.gateway.wording import POLICY, REFUSED, STOPPED
from appliance.model.decision import Reason
from appliance.model.request import Wants

MAX_PATH = 512
"""Longest path of our own that a page may point to, in characters."""

_STATUS = {
    Reason.MALFORMED: 400,
    # 421 makes a browser that shares one connection between two names ask again on one of its own,
    # where the names agree and can be judged. It does so once only, so no loop can come of it.
    Reason.MISMATCH: 421,
    Reason.SIGNED_OUT: 511,  # network authentication required (RFC 6585): no program takes it for the site
    Reason.UPSTREAM_CERTIFICATE: 502,
    Reason.UPSTREAM_UNREACHABLE: 502,
}
_NOT_IN_REFERENCE = re.compile(r"[^0-9A-Za-z-]")
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")

IMAGE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">'
    b"<title>Blocked by the school</title>"
    b'<circle cx="12" cy="12" r="10" fill="#8a8791" fill-opacity=".25"/>'
    b'<path d="M7 12h10" stroke="#6b6873" stroke-width="2.5" stroke-linecap="round"/></svg>\n'
)
"""Stands where a blocked picture would: small, grey, and quiet next to whatever is around it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as plain values; header names are lower-case, as HTTP/2 wants them."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


CLOSED = Answer(
    503,
    (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")),
    b"The web filter could not check this page, so it stays closed.\n",
)
"""When all else fails."""


def status(reason: Reason) -> int:
    """Return the HTTP status: 403 for a decision, 502 for the site's trouble, 503 for the filter's own."""
    decided = reason in POLICY | REFUSED | STOPPED | {Reason.FLOOR, Reason.FLOOR_REPEATED}
    return _STATUS.get(reason, 403 if decided else 503)


def small(reason: Reason, wants: Wants, reference: str) -> Answer:
    """Return the least that a browser takes for "no", so that the page around it goes on working."""
    note = f"Blocked by the school's internet filter. Reference {clean_reference(reference)}"
    comment = f"/* {note} */\n".encode()
    if wants is Wants.IMAGE:
        return _plain(reason, "image/svg+xml", IMAGE)
    if wants is Wants.SCRIPT:
        return _plain(reason, "text/javascript; charset=utf-8", comment)
    if wants is Wants.STYLE:
        return _plain(reason, "text/css; charset=utf-8", comment)
    if wants is Wants.SOCKET:
        return _plain(reason, "text/plain; charset=utf-8", f"{note}\n".encode())
    data = {"blocked": True, "reason": reason.value, "reference": clean_reference(reference)}
    return _plain(reason, "application/json", json.dumps(data).encode())


def clean_reference(text: str) -> str:
    """Return a reference that is safe in HTML, a comment and JSON alike: letters, digits and hyphens."""
    return _NOT_IN_REFERENCE.sub("", text[:64])[:32]


def own_path(path: str) -> str:
    """Return a path of this origin, or nothing: a form must not carry a child's note to another site."""
    return path if len(path) <= MAX_PATH and _OWN_PATH.fullmatch(path) else ""


def page_headers(style: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that every page carries; its one style is allowed by hash, and no script is."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",  # the icon only: it saves a second blocked request, for /favicon.ico, in the record
        "base-uri 'none'",
        "form-action 'self'",
        # A blocked frame within an allowed page must be able to say why. Any web page may hold it, for
        # the worst that a trick with a hidden frame can bring about is a review request.
        "frame-ancestors http: https:",
    )
    return (
        ("content-type", "text/html; charset=utf-8"),
        ("content-language", "en-GB"),
        ("cache-control", "no-store"),
        ("content-security-policy", "; ".join(policy)),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    )


def page(code: int, headers: tuple[tuple[str, str], ...], html: str) -> Answer:
    """Return a whole page as an answer; what cannot be encoded becomes a question mark."""
    body = html.encode("utf-8", "replace")
    return Answer(code, (*headers, ("content-length", str(len(body)))), body)


def _plain(reason: Reason, mime: str, body: bytes) -> Answer:
    headers = (
        ("content-type", mime),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-length", str(len(body))),
    )
    return Answer(status(reason), headers, body)
