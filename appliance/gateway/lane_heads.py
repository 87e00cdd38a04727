"""The lean lane: heads of HTTP/1.1 messages, read strictly and written anew.

What lives only here: what the lean lane takes for a plain request, and for a plain answer of a site. A
request that this file does not take goes to the full lane as it came, so there is one place only that
refuses and explains. What goes on is written anew from what was read, so that the next program cannot read
it differently (RFC 9112; hop-by-hop fields as in RFC 9110 7.6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from mitmproxy.net.http.validate import parse_transfer_encoding

from appliance.gateway.answers import Answer

MOST_FIELDS = 200
"""Fields of a head that the lean lane reads at most."""

NO_CONTENT, NOT_MODIFIED = 204, 304
_OK = range(200, 1000)  # those below announce an answer, or end HTTP, for which nobody asked

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Each field with the line end before it, so that fields can be taken out and the rest stays as it came.
_FIELDS = rb"((?:\r\n" + _TOKEN + rb"{1,256}+:[\t\x20-\x7e\x80-\xff]*+)*+)\r\n\r\n"
# A name as DNS can carry it (RFC 1035 2.3.4), and a port that there is: mitmproxy refuses all others, and
# reads port 0 as none.
_NAME = rb"(?![0-9A-Za-z_.-]{254})[0-9A-Za-z_-]{1,63}+(?:\.[0-9A-Za-z_-]{1,63}+)*+"
_PORT = rb":(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_REQUEST = re.compile(
    rb"(?!CONNECT |PRI )([A-Z]{1,20}) (?:http://("
    + _NAME
    + rb"(?:"
    + _PORT
    + rb")?))?(/[\x21\x22\x24-\x7e]*+) HTTP/1\.1"
    + _FIELDS
)
_HOST = re.compile(_NAME + rb"(?:" + _PORT + rb")?")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_ANSWER = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: ([\t\x20-\x7e\x80-\xff]*+))?" + _FIELDS)
_STATUS = re.compile(rb"HTTP/1\.([01])[ \t]+([0-9]{3})(?:[ \t]+([^\r\0]*))?")
_LAST_LINE = re.compile(rb"\r?\n\r?\n\Z")
_FIELD = re.compile(rb"(" + _TOKEN + rb"{1,256}+):([^\r\n\0]*)")

_BETWEEN = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
    }
)
"""Fields that are meant for the next program only."""
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_FROM_CLIENT = _BETWEEN | _FRAMING | {b"upgrade", b"available-dictionary", b"http2-settings"}
_FROM_SITE = _BETWEEN | {b"content-length", b"transfer-encoding", b"upgrade", b"alt-svc"}
_ORDINARY = frozenset({b"", b"close", b"keep-alive"})
_USUAL = {each: frozenset({each}) for each in (b"close", b"keep-alive")}
_NOTHING: frozenset[bytes] = frozenset()
_SPELLED = re.compile(rb"[a-z]")


def _told_apart(names: Iterable[bytes]) -> re.Pattern[bytes]:
    # Splits fields into those that matter between two programs, as name and value, and what lies between.
    # Letters in both cases and a look at the first one: half the time of the same with a flag for the case.
    first = b"".join({name[:1] + name[:1].upper() for name in names})
    spelled = b"|".join(_SPELLED.sub(_both_cases, re.escape(name)) for name in sorted(names, reverse=True))
    return re.compile(rb"\r\n(?=[" + first + rb"])(" + spelled + rb"):[\t ]*([^\r]*)")


def _both_cases(letter: re.Match[bytes]) -> bytes:
    return b"[%b%b]" % (letter[0], letter[0].upper())


_APART_FROM_CLIENT, _APART_FROM_SITE = _told_apart(_FROM_CLIENT), _told_apart(_FROM_SITE)


class BadAnswerError(ValueError):
    """What a site sent is no answer that can be passed on; the text says why."""


class RequestHead:
    """One plain request. `length` is None for a chunked body, and 0 for none."""

    __slots__ = ("asked", "block", "close", "expects", "host", "length", "method", "path", "rest", "shown")

    def __init__(self, method: str, asked: str, path: str, block: bytes) -> None:
        self.method = method
        self.asked = asked
        """The authority of an absolute address, or empty."""
        self.path = path
        self.block = block
        """All fields as they came, for what only a refusal wants to know."""
        self.host = ""
        self.rest = b""
        """The fields that go on as they came, each with the line end before it."""
        self.length: int | None = 0
        self.close = False
        self.expects = False
        self.shown: tuple[str, ...] = ()
        """Credentials for the proxy, each field of them; none is passed on."""

    def field(self, name: str) -> str:
        """Return the value of a field, or an empty text."""
        found = re.search(rb"(?mi)^" + re.escape(name.encode()) + rb":[ \t]*([^\r]*)", self.block)
        return found[1].strip().decode("latin-1") if found else ""

    def towards(self, host: str) -> bytes:
        """Return the head as the site gets it, under the name that was judged."""
        start = f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}".encode("latin-1")
        framing = b""
        if self.length is None:
            framing = b"\r\nTransfer-Encoding: chunked"
        elif self.length or self.method in ("POST", "PUT", "PATCH"):
            framing = b"\r\nContent-Length: %d" % self.length
        return b"%b%b%b\r\n\r\n" % (start, self.rest, framing)


def read_request(data: bytes) -> RequestHead | None:
    """Read one head, blank line included; None for whatever is not plain, and so is the full lane's."""
    match = _REQUEST.fullmatch(data)
    if match is None:
        return None
    method, asked, path, block = match.groups()
    if block.count(b"\r") > MOST_FIELDS:
        return None
    head = RequestHead(method.decode(), (asked or b"").decode(), path.decode(), block)
    listed = _sort(head, _APART_FROM_CLIENT.split(block))
    if listed is None or not head.host:
        return None
    if listed:
        head.rest = _without(head.rest, listed)
    return head


def _sort(head: RequestHead, parts: list[bytes]) -> frozenset[bytes] | None:  # noqa: C901 - a table, read down
    # The fields that matter between two programs go into `head`, the rest are kept as they came. Returned:
    # what `Connection` names besides, which is not passed on; None if the request is not plain.
    head.rest = b"".join(parts[::3])
    listed = _NOTHING
    framed = False
    for name, given in zip(parts[1::3], parts[2::3], strict=True):
        low, value = name.lower(), given.rstrip(b" \t")
        if low == b"host":
            if head.host or not _HOST.fullmatch(value):
                return None
            head.host = value.decode()
        elif low == b"connection":
            listed |= _tokens(value)
        elif low == b"proxy-authorization":
            head.shown += (value.decode("latin-1"),)
        elif low == b"expect":
            head.expects = True
            if value.lower() != b"100-continue":
                return None
        elif low in _FRAMING:
            if framed or not _frame(head, low, value):
                return None
            framed = True
        elif low == b"upgrade":
            return None
    head.close = b"close" in listed
    return listed - _ORDINARY - _FRAMING


def _without(fields: bytes, names: frozenset[bytes]) -> bytes:
    lines = fields.split(b"\r\n")
    return b"\r\n".join([line for line in lines if line.partition(b":")[0].lower() not in names])


def _frame(head: RequestHead, name: bytes, value: bytes) -> bool:
    if name == b"transfer-encoding":
        head.length = None
        return value.lower() == b"chunked"
    if not _LENGTH.fullmatch(value):
        return False
    head.length = int(value)
    return True


def _tokens(value: bytes) -> frozenset[bytes]:
    low = value.lower()
    return _USUAL.get(low) or frozenset(token.strip(b" \t") for token in low.split(b","))


class AnswerHead:
    """The head of a site's answer.

    `length` counts the body's bytes; None where `coding` says "chunked", or the connection's end ends it.
    """

    __slots__ = ("chunked", "close", "coding", "length", "reason", "rest", "status")

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.rest = b""
        """The fields that go on as they came, each with the line end before it."""
        self.length: int | None = None
        self.coding = b""
        self.chunked = False
        """True when the body comes in chunks."""
        self.close = False

    def bare(self, method: str) -> bool:
        """Tell whether no body follows, whatever the fields say."""
        return method == "HEAD" or self.status in (NO_CONTENT, NOT_MODIFIED)

    def towards(self, *, close: bool) -> bytes:
        """Return the head as the client gets it; `close` says that nothing comes after its body."""
        framing = b""
        if self.coding:
            framing = b"\r\nTransfer-Encoding: " + self.coding
        elif self.length is not None and self.status != NO_CONTENT:
            framing = b"\r\nContent-Length: %d" % self.length
        if close:
            framing += b"\r\nConnection: close"
        return b"HTTP/1.1 %d %b%b%b\r\n\r\n" % (self.status, self.reason, self.rest, framing)


def read_answer(data: bytes) -> AnswerHead:
    """Read the head of an answer, blank line included; BadAnswerError for what nobody can rely on."""
    match = _ANSWER.fullmatch(data)
    if match is not None:
        version, status, reason, block = match.groups()
    else:
        version, status, reason, lines = _mended(data)
        block = b"".join([b"\r\n" + line for line in lines])
    head = AnswerHead(int(status), reason or b"")
    if head.status not in _OK:
        raise BadAnswerError("the status is none that was asked for")
    _sort_answer(head, _APART_FROM_SITE.split(block), old=version == b"0")
    return head


def _mended(data: bytes) -> tuple[bytes, bytes, bytes, list[bytes]]:
    # Sites write line ends and folded fields as they always did; what goes on from here is tidy.
    raw = [line.removesuffix(b"\r") for line in _LAST_LINE.sub(b"", data).split(b"\n")]
    match = _STATUS.fullmatch(raw[0])
    if match is None:
        raise BadAnswerError("the answer is no HTTP")
    lines: list[bytes] = []
    for line in raw[1:]:
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b" " + line.strip(b" \t")
            line = lines.pop()  # noqa: PLW2901 - looked at once more, with what was folded away from it
            if line.partition(b":")[0].lower() in (b"content-length", b"transfer-encoding"):
                raise BadAnswerError("a field that says where the body ends is folded")
        if not _FIELD.fullmatch(line):
            raise BadAnswerError("a field is no field")
        lines.append(line)
    return match[1], match[2], match[3] or b"", lines


def _sort_answer(head: AnswerHead, parts: list[bytes], *, old: bool) -> None:
    head.rest = b"".join(parts[::3])
    listed = _NOTHING
    for name, given in zip(parts[1::3], parts[2::3], strict=True):
        low = name.lower()
        if low == b"connection":
            listed |= _tokens(given)
        elif low == b"content-length":
            _measure(head, given.rstrip(b" \t"))
        elif low == b"transfer-encoding":
            _encode(head, given.rstrip(b" \t"), old=old)
    if head.coding and head.length is not None:
        raise BadAnswerError("the answer ends in two ways")
    head.close = b"close" in listed or (old and b"keep-alive" not in listed)
    listed -= _ORDINARY
    if listed:
        head.rest = _without(head.rest, listed)


def _measure(head: AnswerHead, value: bytes) -> None:
    if head.length is not None or not _LENGTH.fullmatch(value):
        raise BadAnswerError("the answer has no clear length")
    head.length = int(value)


def _encode(head: AnswerHead, value: bytes, *, old: bool) -> None:
    if head.coding or old or head.status == NO_CONTENT:
        raise BadAnswerError("the answer's framing is not allowed here")
    try:
        coding = parse_transfer_encoding(value)
    except ValueError as error:
        raise BadAnswerError("the answer's framing is unknown") from error
    if coding != "identity":  # which means nothing at all
        head.coding = coding.encode()
        head.chunked = head.coding.endswith(b"chunked")


def own_answer(answer: Answer, method: str, *, close: bool) -> bytes:
    """Return an answer of our own as it goes to the client."""
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    if not any(name == "content-length" for name, _ in answer.headers):
        lines.append(f"content-length: {len(answer.body)}")
    if close:
        lines.append("connection: close")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    return head if method == "HEAD" else head + answer.body
