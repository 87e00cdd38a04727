"""mitmproxy's flow in, `model` words out.

What lives only here: how a request's several names (request line, Host, :authority, SNI, CONNECT
target, network address) become one `Request`, and which requests are refused because two parties could
read them differently (H24, H25, H32).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from mitmproxy import http

from appliance.model.request import Request, Wants
from appliance.model.url import DEFAULT_PORTS, Url, UrlRefusedError, parse_host, parse_url

_UNSAFE = re.compile(rb"[\x00-\x20\x7f]")
_NOWHERE = Url("http", "invalid", 80, "/", "")
"""Stands for the address of a request that has none we could read."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
"""What a method and the name of a header field are made of (RFC 9110 5.6.2)."""
_SCHEMES = (b"", b"http", b"https")
_LAYERED = "there is encryption within the encryption"

_ASCII_END = 128
_HASH = ord("#")

_DESTINATIONS = {
    "document": Wants.PAGE,
    "iframe": Wants.PAGE,
    "frame": Wants.PAGE,
    "embed": Wants.PAGE,
    "object": Wants.PAGE,
    "image": Wants.IMAGE,
    "script": Wants.SCRIPT,
    "worker": Wants.SCRIPT,
    "sharedworker": Wants.SCRIPT,
    "serviceworker": Wants.SCRIPT,
    "style": Wants.STYLE,
    "empty": Wants.DATA,
    "font": Wants.DATA,
    "audio": Wants.DATA,
    "video": Wants.DATA,
    "track": Wants.DATA,
    "manifest": Wants.DATA,
    "report": Wants.DATA,
}


@dataclass(slots=True)
class Tunnel:
    """What is known of the connection that a request came through."""

    client: str
    encrypted: bool = False
    sni: Url | None = None
    sni_given: bool = False
    connect: Url | None = None
    destination: Url | None = None
    layered: bool = False
    """Set once there is encryption within the encryption that we have opened."""
    port: int | None = None
    """The port that the client asked for, where the request itself does not say."""
    secure: bool = False
    """Whether the client speaks to the proxy itself under encryption."""
    user: str = ""
    """The account whose credentials the client has shown to the proxy, with this tunnel or request."""
    wrong: bool = False
    """Whether it has shown some that do not fit."""
    due: bool = False
    """Whether asking for them again would not help: a page is needed first, or a moment's patience."""

    @property
    def to_proxy(self) -> bool:
        """Whether what comes is said to the proxy itself: no tunnel is open, and nobody was redirected."""
        return self.connect is None and self.destination is None and self.port is None and not self.encrypted


class RefusedRequestError(ValueError):
    """The request cannot be judged; the text says why, in words for the log and the page."""


def request_of(flow: http.HTTPFlow, tunnel: Tunnel) -> Request:
    """Return the request that `flow` carries; one that cannot be read has `refused` set."""
    try:
        url = _url(flow.request, tunnel)
    except ValueError as error:  # both kinds of refusal, and whatever else cannot be read
        url = _best_guess(flow.request, tunnel)
        return Request(
            url,
            method=_text(flow.request.method),
            client=tunnel.client,
            user=tunnel.user,
            wants=wants_of(lambda name: flow.request.headers.get(name, "")),
            refused=str(error),
        )
    names = tuple(
        replace(name, scheme=url.scheme, port=url.port)
        for name in (tunnel.sni, tunnel.connect)
        if name and name.host != url.host
    )
    return Request(
        url,
        names=names,
        method=_text(flow.request.method),
        client=tunnel.client,
        user=tunnel.user,
        destination=tunnel.destination,
        wants=wants_of(lambda name: flow.request.headers.get(name, "")),
    )


def wants_of(field: Callable[[str], str]) -> Wants:
    """Return what the browser will do with the answer; `field` gives a header's value, or an empty text."""
    if "websocket" in field("upgrade").lower():
        return Wants.SOCKET
    told = _DESTINATIONS.get(field("sec-fetch-dest"))
    if told is not None:
        return told
    accept = field("accept")
    if "text/html" in accept or accept in ("", "*/*"):
        return Wants.PAGE
    if accept.startswith("image/"):
        return Wants.IMAGE
    if accept.startswith("text/css"):
        return Wants.STYLE
    return Wants.DATA


def hello_of(name: str | None, tunnel: Tunnel) -> Request:
    """Return the request that opening an encrypted connection amounts to; `tunnel` learns its SNI."""
    tunnel.sni_given = bool(name)
    refused = ""
    try:
        tunnel.sni = host_of(name) if name else None
    except UrlRefusedError:
        refused = "the name in the encryption is no host name"
    target = tunnel.sni or tunnel.connect or tunnel.destination
    if target is None:
        target, refused = host_of("invalid"), "the connection names no site"
    if tunnel.layered:
        refused = _LAYERED
    return Request(
        Url("https", target.host, tunnel.port or DEFAULT_PORTS["https"], "/", "", target.ip),
        names=tuple(url for url in (tunnel.connect,) if url and url.host != target.host),
        method="TLS",
        client=tunnel.client,
        user=tunnel.user,
        destination=tunnel.destination,
        refused=refused,
    )


def connect_of(target: Url, port: int, tunnel: Tunnel, refused: str = "") -> Request:
    """Return the request that opening a tunnel to `target` amounts to."""
    url = Url("https", target.host, port, "/", "", target.ip)
    return Request(url, method="CONNECT", client=tunnel.client, user=tunnel.user, refused=refused)


def target_of(flow: http.HTTPFlow) -> Url | None:
    """Return the host that a CONNECT asks for, or None where it is none."""
    try:
        return host_of(_text(flow.request.host))
    except UrlRefusedError:
        return None


@functools.lru_cache(maxsize=2048)  # of the same few sites and devices all day long
def host_of(text: str) -> Url:
    """Return a host as a Url (`https://host/`); UrlRefusedError if it is none."""
    return parse_host(text)


def _url(request: http.Request, tunnel: Tunnel) -> Url:
    if tunnel.layered:
        raise RefusedRequestError(_LAYERED)
    _refuse_ambiguous(request)
    authority = _authority(request, tunnel)
    scheme = "https" if tunnel.encrypted or request.scheme == "https" else "http"
    url = parse_url(f"{scheme}://{authority}{_path(request)}")
    if tunnel.port is not None:
        url = replace(url, port=tunnel.port)
    if tunnel.encrypted and tunnel.sni is not None and tunnel.sni.host != url.host:
        # Our certificate names one site only, so no honest browser does this (domain fronting).
        raise RefusedRequestError("mismatch: the request and its encryption name different sites")
    return url


def _refuse_ambiguous(request: http.Request) -> None:
    # HTTP/2 carries whatever is put into these; HTTP/1 towards the site would read it as something else.
    if not _TOKEN.fullmatch(request.data.method):
        raise RefusedRequestError("the method holds characters that no method has")
    if request.data.scheme not in _SCHEMES:
        raise RefusedRequestError("this is no address of the web (http or https)")
    for name, value in request.headers.fields:
        if b"\r" in value or b"\n" in value or b"\0" in value or not _TOKEN.fullmatch(name):
            raise RefusedRequestError("a header field is folded or holds control characters")
    if len(request.headers.get_all("host")) > 1:
        raise RefusedRequestError("there is more than one Host header")
    if request.data.method == b"PRI":
        raise RefusedRequestError("HTTP/2 without encryption is not supported")


def _authority(request: http.Request, tunnel: Tunnel) -> str:
    named = request.headers.get("host", "")
    # The raw field: mitmproxy's property would decode international names by rules of its own.
    target = request.data.authority.decode("utf-8", "surrogateescape")
    if request.is_http2:
        authority = target or named
        if named and _plain(named) != _plain(authority):
            raise RefusedRequestError("mismatch: Host and :authority differ")
    elif tunnel.connect is None and not tunnel.encrypted and tunnel.port is None:
        # Explicit proxy, absolute address: the request line decides, and Host must agree.
        authority = _hostport(request.data.host, request.data.port, request.scheme)
        if named and _plain(named) != _plain(authority):
            raise RefusedRequestError("mismatch: the address and the Host header differ")
    else:
        authority = named
        if target and _plain(target) != _plain(named):
            # An absolute address within a tunnel: many servers follow it, and not the Host header.
            raise RefusedRequestError("mismatch: the address and the Host header differ")
    if not authority:
        raise RefusedRequestError("the request names no host")
    _refuse_more_than_a_host(authority)
    return _text(authority)


def _refuse_more_than_a_host(authority: str) -> None:
    # `blocked.example@allowed.example` is one host to us and may be the other to the next program.
    if any(mark in authority for mark in "/\\?#@, \t\r\n"):
        raise RefusedRequestError("the host name holds characters that no host name has")


def _hostport(host: str, port: int, scheme: str) -> str:
    text = f"[{host}]" if ":" in host else host
    return text if port == DEFAULT_PORTS.get(scheme) else f"{text}:{port}"


def _plain(authority: str) -> tuple[str, int]:
    _refuse_more_than_a_host(authority)
    url = parse_url(f"http://{_text(authority)}/")
    return url.host, DEFAULT_PORTS["http"] if url.port == DEFAULT_PORTS["https"] else url.port


def _path(request: http.Request) -> str:
    raw = request.data.path
    if raw == b"*":
        return "/"
    if not raw.startswith(b"/"):
        raise RefusedRequestError("the address has no path")
    if _UNSAFE.search(raw):
        raise RefusedRequestError("the address holds control characters or blanks")
    # A fragment never belongs on the wire; sent all the same, it is part of what the site reads.
    return "".join(chr(c) if c < _ASCII_END and c != _HASH else f"%{c:02X}" for c in raw)


def _best_guess(request: http.Request, tunnel: Tunnel) -> Url:
    # For the record only; it is never judged, and never contacted.
    for name in (tunnel.sni, tunnel.connect):
        if name is not None:
            return name
    try:
        found = parse_host(_text(request.data.host or request.headers.get("host", "")))
        return found if tunnel.encrypted else replace(found, scheme="http", port=DEFAULT_PORTS["http"])
    except UrlRefusedError:
        return _NOWHERE


def _text(text: str) -> str:
    # Bytes that are no UTF-8 arrive as lone surrogates, which break JSON, SQLite and our own code (H2).
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
