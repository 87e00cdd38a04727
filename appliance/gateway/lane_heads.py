"""The lean lane: heads of HTTP/1.1 messages, read strictly and written anew.

What lives only here: what the lean lane takes for a plain request, and for a plain answer of a site. A
request that this file does not take goes to the full lane as it came, so there is one place only that
refuses and explains. What goes on is written anew from what was read, so that the next program cannot read
it differently (RFC 9112; hop-by-hop fields as in RFC 9110 7.6.1).
"""

from __future__ import annotations

import re
from http import HTTPStatus

from mitmproxy.net.http.validate import parse_transfer_encoding

from appliance.gateway.answers import Answer

MOST_FIELDS = 200
"""Fields of a head that the lean lane reads at most."""

NO_CONTENT, NOT_MODIFIED = 204, 304
_OK = range(200, 1000)  # those below announce an answer, or end HTTP, for which nobody asked

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_FIELDS = rb"((?:" + _TOKEN + rb"{1,256}+:[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
# A name as DNS can carry it (RFC 1035 2.3.4), and a port that there is: mitmproxy refuses all others, and
# reads port 0 as none.
_NAME = rb"(?![0-9A-Za-z_.-]{254})[0-9A-Za-z_-]{1,63}+(?:\.[0-9A-Za-z_-]{1,63}+)*+"
_PORT = rb":(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_REQUEST = re.compile(
    rb"([A-Z]{1,20}) (?:http://("
    + _NAME
    + rb"(?:"
    + _PORT
    + rb")?))?(/[\x21\x22\x24-\x7e]*+) HTTP/1\.1\r\n"
    + _FIELDS
)
_HOST = re.compile(_NAME + rb"(?:" + _PORT + rb")?")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_ANSWER = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: ([\t\x20-\x7e\x80-\xff]*+))?\r\n" + _FIELDS)
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


class BadAnswerError(ValueError):
    """What a site sent is no answer that can be passed on; the text says why."""


class RequestHead:
    """One plain request. `length` is None for a chunked body, and 0 for none."""

    __slots__ = ("asked", "block", "close", "expects", "fields", "host", "length", "method", "path", "shown")

    def __init__(self, method: str, asked: str, path: str, block: bytes) -> None:
        self.method = method
        self.asked = asked
        """The authority of an absolute address, or empty."""
        self.path = path
        self.block = block
        """All fields as they came, for what only a refusal wants to know."""
        self.host = ""
        self.fields: list[bytes] = []
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
        lines = [f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}".encode("latin-1"), *self.fields]
        if self.length is None:
            lines.append(b"Transfer-Encoding: chunked")
        elif self.length or self.method in ("POST", "PUT", "PATCH"):
            lines.append(b"Content-Length: %d" % self.length)
        lines.append(b"\r\n")
        return b"\r\n".join(lines)


def read_request(data: bytes) -> RequestHead | None:
    """Read one head, blank line included; None for whatever is not plain, and so is the full lane's."""
    match = _REQUEST.fullmatch(data)
    if match is None:
        return None
    method, asked, path, block = match.groups()
    head = RequestHead(method.decode(), (asked or b"").decode(), path.decode(), block)
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > MOST_FIELDS:
        return None
    listed = _sort(head, lines)
    if listed is None or not head.host:
        return None
    if listed:
        head.fields = [line for line in head.fields if line.partition(b":")[0].lower() not in listed]
    return head


def _sort(head: RequestHead, lines: list[bytes]) -> frozenset[bytes] | None:  # noqa: C901 - a table, read down
    # The fields that matter between two programs go into `head`, the rest are kept as they came. Returned:
    # what `Connection` names besides, which is not passed on; None if the request is not plain.
    kept = head.fields
    listed: frozenset[bytes] = frozenset()
    framed = False
    for line in lines:
        name, _, value = line.partition(b":")
        low = name.lower()
        if low not in _FROM_CLIENT:
            kept.append(line)
            continue
        value = value.strip(b" \t")
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


def _frame(head: RequestHead, name: bytes, value: bytes) -> bool:
    if name == b"transfer-encoding":
        head.length = None
        return value.lower() == b"chunked"
    if not _LENGTH.fullmatch(value):
        return False
    head.length = int(value)
    return True


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip(b" \t") for token in value.lower().split(b","))


class AnswerHead:
    """The head of a site's answer.

    `length` counts the body's bytes; None where `coding` says "chunked", or the connection's end ends it.
    """

    __slots__ = ("close", "coding", "fields", "length", "reason", "status")

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.fields: list[bytes] = []
        self.length: int | None = None
        self.coding = b""
        self.close = False

    @property
    def chunked(self) -> bool:
        """True when the body comes in chunks."""
        return self.coding.endswith(b"chunked")

    def bare(self, method: str) -> bool:
        """Tell whether no body follows, whatever the fields say."""
        return method == "HEAD" or self.status in (NO_CONTENT, NOT_MODIFIED)

    def towards(self, *, close: bool) -> bytes:
        """Return the head as the client gets it; `close` says that nothing comes after its body."""
        lines = [b"HTTP/1.1 %d %s" % (self.status, self.reason), *self.fields]
        if self.coding:
            lines.append(b"Transfer-Encoding: " + self.coding)
        elif self.length is not None and self.status != NO_CONTENT:
            lines.append(b"Content-Length: %d" % self.length)
        if close:
            lines.append(b"Connection: close")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)


def read_answer(data: bytes) -> AnswerHead:
    """Read the head of an answer, blank line included; BadAnswerError for what nobody can rely on."""
    match = _ANSWER.fullmatch(data)
    if match is not None:
        version, status, reason, block = match.groups()
        lines = block.split(b"\r\n")
        lines.pop()
    else:
        version, status, reason, lines = _mended(data)
    head = AnswerHead(int(status), reason or b"")
    if head.status not in _OK:
        raise BadAnswerError("the status is none that was asked for")
    _sort_answer(head, lines, old=version == b"0")
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


def _sort_answer(head: AnswerHead, lines: list[bytes], *, old: bool) -> None:
    kept = head.fields
    listed: frozenset[bytes] = frozenset()
    for line in lines:
        name, _, value = line.partition(b":")
        low = name.lower()
        if low not in _FROM_SITE:
            kept.append(line)
        elif low == b"connection":
            listed |= _tokens(value)
        elif low == b"content-length":
            _measure(head, value.strip(b" \t"))
        elif low == b"transfer-encoding":
            _encode(head, value.strip(b" \t"), old=old)
    if head.coding and head.length is not None:
        raise BadAnswerError("the answer ends in two ways")
    head.close = b"close" in listed or (old and b"keep-alive" not in listed)
    listed -= _ORDINARY
    if listed:
        head.fields = [line for line in kept if line.partition(b":")[0].lower() not in listed]


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
