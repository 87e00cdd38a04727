"""One address of the web, as a browser understands it.

What lives only here: the parsing of URLs (WHATWG URL, through ada) and the
canonical path that lists are matched against (Safe Browsing v4,
"URLs and Hashing: Canonicalization"). Two different readings of one address are
the oldest way round a filter, so every room takes a `Url` and none parses text.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import can_ada

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_LENGTH = 16_384
"""Longest address we judge, in characters; browsers send far less, attackers more."""

MAX_HOST = 253
"""Longest host name in characters (RFC 1035)."""

MAX_SITE = len("https://:65535") + MAX_HOST
"""Longest beginning of an address, up to its path, in characters."""

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_BARE_HOST = re.compile(r"^(?=[^/]*\.)[\w.-]+(:\d{1,5})?(/\S*)?$")
_SLASHES = re.compile(rb"/{2,}")
_UNPRINTABLE = re.compile(rb"[^!-~]|[#%\\]")
_DOTS = re.compile(r"\.{2,}")
_BLANK, _DELETE = 0x20, 0x7F  # what lies between is printable
_ORDINARY = re.compile(
    # What a browser sends as it stands (WHATWG URL, path and special-query percent-encode sets), in segments
    # that are no dot segments in any spelling.
    r"((?:/(?!\.|%2[eE])[\w~!$&'()*+,;=:@%.-]*+)++)(?:\?([\w~!$&()*+,;=:@%/?.-]*+))?",
    re.ASCII,
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class UrlRefusedError(ValueError):
    """The text is no address that a browser would fetch over the web."""


@dataclass(frozen=True, slots=True)
class Url:
    """A web address in the one form that every room matches against.

    `host` is lower-case ASCII without a trailing dot (IPv6 without brackets);
    `ip` is set when the host is an address in any spelling; `path` and `query`
    are as a browser would send them, `query` without its question mark.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    ip: Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{host}{port}{self.path}{query}"


def parse_url(text: str) -> Url:
    """Read `text` as a browser's address bar would; raise `UrlRefusedError` where it would not.

    User name, password and fragment are dropped: they never choose the site.
    """
    if len(text) > MAX_LENGTH:
        raise UrlRefusedError(f"longer than {MAX_LENGTH} characters")
    try:
        parsed = can_ada.parse(text)
    except (ValueError, TypeError) as error:  # TypeError: text that is no Unicode (a lone surrogate)
        raise UrlRefusedError("not an address that a browser accepts") from error
    scheme = parsed.protocol[:-1]
    if scheme not in DEFAULT_PORTS:
        raise UrlRefusedError("not a web address (http, https, ws or wss)")
    host, ip = _host(parsed.hostname)
    port = int(parsed.port) if parsed.port else DEFAULT_PORTS[scheme]
    return Url(scheme, host, port, parsed.pathname, parsed.search[1:], ip)


def at(site: Url, target: str) -> Url:
    """Return the address of `target` (a path, and perhaps a query) on a site whose own address is known.

    It is the same as reading the whole, which is what an unusual target gets: raises as `parse_url` does.
    """
    plain = _ORDINARY.fullmatch(target) if len(target) < MAX_LENGTH - MAX_SITE else None
    if plain is None:
        host = f"[{site.host}]" if ":" in site.host else site.host
        return parse_url(f"{site.scheme}://{host}:{site.port}{target}")
    return Url(site.scheme, site.host, site.port, plain[1], plain[2] or "", site.ip)


def parse_typed(text: str) -> Url:
    """Read what a person typed: an address, or a bare host such as `example.org/page`."""
    text = text.strip()
    if _BARE_HOST.match(text):
        return parse_url(f"https://{text}")
    return parse_url(text)


def parse_host(text: str) -> Url:
    """Read a host name or IP address (an SNI, a list entry, a CONNECT target) as `https://host/`.

    Raises `UrlRefusedError` if the text holds anything that is not part of a host.
    """
    if ":" in text and not text.startswith("["):
        text = f"[{text}]"
    if not text or any(mark in text for mark in "/\\?#@ \t\r\n"):
        raise UrlRefusedError("not a host name")
    return parse_url(f"https://{text}/")


def canonical_path(url: Url) -> str:
    """Return path and query as Safe Browsing v4 canonicalises them, for matching only.

    Percent-escapes are undone until none is left, runs of slashes and dot segments
    are folded, and what is not printable ASCII is escaped once: so `/%2e%2e//a%2541`
    and `/aA` meet. The query keeps its text apart from the unescaping.
    """
    text = url.path
    if not _is_canonical(text) or "//" in text or "/." in text or text[:1] != "/":
        text = _escape(_SLASHES.sub(b"/", _resolve_dots(_unescape(text))))
    if not url.query:
        return text
    query = url.query if _is_canonical(url.query) else _escape(_unescape(url.query))
    return f"{text}?{query}"


def embedded_ipv4(ip: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4, Teredo), else `ip`."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped:
        return ip.ipv4_mapped
    if ip in _NAT64 or (int(ip) >> 32 == 0 and int(ip) > 1):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.sixtofour:
        return ip.sixtofour
    if ip.teredo:
        return ip.teredo[1]
    return ip


def _host(hostname: str) -> tuple[str, Address | None]:
    if hostname.startswith("["):
        ip = embedded_ipv4(ipaddress.ip_address(hostname[1:-1]))
        return str(ip), ip
    host = _DOTS.sub(".", hostname).strip(".")
    if not host or len(host) > MAX_HOST:
        raise UrlRefusedError("not a host name")
    if host != hostname:
        # Without its surplus dots it may be a number after all (`0xcb007114..`), which the system's
        # resolver would read as an address: it is read once more, as what it has become.
        try:
            host = can_ada.parse(f"http://{host}/").hostname
        except ValueError as error:
            raise UrlRefusedError("not a host name") from error
    try:
        return host, ipaddress.IPv4Address(host)
    except ValueError:
        return host, None


def _is_canonical(text: str) -> bool:
    """Tell whether there is nothing to undo or to escape: so it is in nearly all addresses."""
    return "%" not in text and "#" not in text and " " not in text and text.isascii() and text.isprintable()


def _unescape(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    # Each pass can only shorten the text, so this ends; 16 384 characters bound the work.
    while b"%" in raw:
        plain = unquote_to_bytes(raw)
        if plain == raw:
            break
        raw = plain
    return raw


def _resolve_dots(path: bytes) -> bytes:
    kept: list[bytes] = []
    parts = path.split(b"/")
    for part in parts[1:]:
        if part == b"..":
            if kept:
                kept.pop()
        elif part != b".":
            kept.append(part)
    tail = b"/" if parts[-1] in (b".", b"..") and kept and kept[-1] else b""
    return b"/" + b"/".join(kept) + tail


def _escape(raw: bytes) -> str:
    if not _UNPRINTABLE.search(raw):
        return raw.decode("ascii")
    # A backslash is escaped as well: left as it is, the next reader would take it for a slash.
    return "".join(chr(c) if _BLANK < c < _DELETE and c not in b"#%\\" else f"%{c:02X}" for c in raw)
