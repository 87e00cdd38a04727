"""What a page loads from other sites, by its own words: its headers, and the addresses in its text.

What lives only here: which words of a page count. A link that a reader may follow does not, nor text that
merely looks like an address; a policy that allows whole families of hosts names nobody. So much of a page is
read and no more, as it passes, whatever it claims to be.
"""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Iterable, Iterator

from appliance.model.url import UrlRefusedError, parse_host

LIMIT = 262_144
"""Bytes of a page that are read, unpacked; what it loads stands at its beginning."""

MOST_NAMES = 64
"""Hosts that are taken from one answer."""

CODINGS = frozenset({"", "identity", "gzip", "x-gzip"})
"""Content codings that are read; the gateway asks the pages that it reads for no other."""

_MOST_BROKEN = 300  # tags without an end: whoever writes more of them hides something, or is no page
_LONGEST_TAG = 8192
_LONGEST_STYLE = 65_536
_LONGEST_START = 16

_DIRECTIVES = frozenset(
    f"{kind}-src{more}"
    for kind in ("default", "script", "style", "img", "media", "font", "connect", "manifest")
    for more in ("", "-elem", "-attr")
)
_LOADING = frozenset(
    {"stylesheet", "preload", "modulepreload", "preconnect", "dns-prefetch", "prefetch", "icon"}
)

_AUTHORITY = re.compile(r"(?:https?:)?//([^/?#\\\s]{1,300})", re.IGNORECASE)
_SOURCE = re.compile(r"(?:https?://)?([a-z0-9_.-]{1,253})(?::[0-9*]{1,5})?(?:/\S*)?", re.IGNORECASE)
_LINK = re.compile(r"<([^<>]{1,2000})>((?:[^,<\"]|\"[^\"]{0,300}\"){0,300})")
_REL = re.compile(r"rel\s*=\s*(?:\"([^\"]{1,200})\"|([^\s;,\"]{1,100}))", re.IGNORECASE)
_CSS = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])([^\"')\s]{1,2000})", re.IGNORECASE)
_OPENS = re.compile(
    r"<(script|img|image|link|video|audio|source|track|base|input|style)(?=[\s/>])", re.IGNORECASE
)
_TAG = re.compile(r"<[a-z]+((?:[^<>\"']++|\"[^\"]{0,4000}+\"|'[^']{0,4000}+'){0,200}+)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"([a-z:-]{1,40}+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'<>=`]+))|\"[^\"]*\"|'[^']*'", re.IGNORECASE
)
_END_OF_STYLE = re.compile(r"</style", re.IGNORECASE)
_PARTS = re.compile(r"[\s,]+")


def policy_hosts(values: Iterable[str]) -> frozenset[str]:
    """Return the hosts that Content-Security-Policy fields name one by one (CSP 3)."""
    found = []
    for value in values:
        for directive in re.split(r"[;,]", value[:LIMIT]):
            name, *sources = directive.split() or [""]
            if name.lower() in _DIRECTIVES:
                found += [
                    match[1] for source in sources if "." in source and (match := _SOURCE.fullmatch(source))
                ]
    return _hosts(found)


def link_hosts(values: Iterable[str]) -> frozenset[str]:
    """Return the hosts that Link fields tell the browser to load from (RFC 8288)."""
    found: list[str] = []
    for value in values:
        for address, more in _LINK.findall(value[:LIMIT]):
            rel = _REL.search(more)
            if rel is not None and _LOADING & set((rel[1] or rel[2]).lower().split()):
                found += _authorities([address])
    return _hosts(found)


class Reader:
    """Reads one answer as it passes: HTML, or a style sheet. It keeps what is not whole yet, and no more."""

    def __init__(self, *, style: bool = False, coding: str = "") -> None:
        """Begin; `coding` is one of `CODINGS`."""
        self.done = False
        """True once nothing more is read."""
        self._style = style
        self._unpack = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
        self._left = LIMIT
        self._text = ""
        self._broken = 0
        self._found: set[str] = set()

    def feed(self, data: bytes) -> frozenset[str]:
        """Take a piece of the answer, none at its end; return the hosts that it names and none before did."""
        if self.done:
            return frozenset()
        last = not data
        try:
            piece = (
                self._unpack.decompress(data, self._left) if self._unpack is not None else data[: self._left]
            )
        except zlib.error:
            self.done = True  # it is not what it says: whoever reads it further reads something else
            return frozenset()
        self._left -= len(piece)
        self.done = last or self._left <= 0 or (self._unpack is not None and self._unpack.eof)
        self._text += piece.decode("latin-1")
        new = _hosts(self._read()) - self._found
        self._found |= new
        self.done = self.done or len(self._found) >= MOST_NAMES or self._broken > _MOST_BROKEN
        if self.done:
            self._text = ""
        return frozenset(new)

    def _read(self) -> list[str]:
        return list(_authorities(self._styles() if self._style else self._tags()))

    def _styles(self) -> Iterator[str]:
        for match in _CSS.finditer(self._text):
            if match.end() < len(self._text) or self.done:
                yield match[1]
        self._text = self._text[-_LONGEST_TAG:]  # what was found twice is one host all the same

    def _tags(self) -> Iterator[str]:
        text, place = self._text, 0
        while (opens := _OPENS.search(text, place)) is not None and self._broken <= _MOST_BROKEN:
            tag = _TAG.match(text, opens.start())
            if tag is None:
                if not self.done and len(text) - opens.start() < _LONGEST_TAG:
                    self._text = text[opens.start() :]
                    return
                self._broken += 1
                place = opens.end()
                continue
            place = tag.end()
            if opens[1].lower() != "style":
                yield from _loaded(opens[1].lower(), tag[1])
                continue
            end = _END_OF_STYLE.search(text, place)
            if end is None and not self.done and len(text) - place < _LONGEST_STYLE:
                self._text = text[opens.start() :]
                return
            after = end.start() if end is not None else place + _LONGEST_STYLE
            yield from (match[1] for match in _CSS.finditer(text, place, after))
            place = after
        self._text = text[max(place, len(text) - _LONGEST_START) :]


def _loaded(tag: str, attributes: str) -> Iterator[str]:
    values: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1]:
            values.setdefault(match[1].lower(), html.unescape(match[2] or match[3] or match[4] or ""))
    if tag == "link":
        if _LOADING & set(values.get("rel", "").lower().split()):
            yield values.get("href", "")
        return
    if tag == "base":
        yield values.get("href", "")
    yield from (values.get(name, "") for name in ("src", "poster"))
    yield from _PARTS.split(values.get("srcset", ""))


def _authorities(addresses: Iterable[str]) -> Iterator[str]:
    for address in addresses:
        if (match := _AUTHORITY.match(address.strip())) is not None:
            yield match[1].rpartition("@")[2]


def _hosts(authorities: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for authority in dict.fromkeys(authorities):
        if len(found) >= MOST_NAMES:
            break
        name = re.sub(r":[0-9*]*$", "", authority)
        try:
            url = parse_host(_typed(name))
        except UrlRefusedError:
            continue
        # A number is no name that a page of a school's lesson needs, and a name without a dot is the LAN's.
        if url.ip is None and "." in url.host:
            found.add(url.host)
    return frozenset(found)


def _typed(name: str) -> str:
    # Text is read byte for byte; a name in letters of its own is UTF-8.
    try:
        return name.encode("latin-1").decode("utf-8")
    except ValueError:
        return name
