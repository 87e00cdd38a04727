"""Sites that show other sites: translators, caches, archives, readers, accelerators.

What lives only here: the table of them, and where each keeps the address that it shows. Every address
inside is judged as well as the outer one, so that a blocked site does not open through its translation.
The README names the table's sites for the technician; a test keeps it true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from appliance.model.url import Url, UrlRefusedError, parse_url

MOST_INNER = 32
"""How many addresses inside one address are judged; whoever nests more of them hides something."""


class TooManyInnerError(ValueError):
    """There are more addresses inside this one than are judged: the text says so."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """One kind of site. `parameters` are the names (lower-case) under which a query holds an address.

    They count on paths that begin with `below`. `path` tells that the path holds an address as well:
    "tail" from its first part that looks like one, "amp" behind the markers of an AMP cache; `query`
    that the whole query may be one.
    """

    parameters: frozenset[str] = frozenset()
    below: tuple[str, ...] = ("/",)
    path: str = ""
    query: bool = False


_COMMON = frozenset({"u", "url", "uri", "q", "a", "src", "target", "link", "quest", "doc"})
_TAIL = Wrapper(_COMMON, path="tail", query=True)
_QUERY = Wrapper(_COMMON)
_GOOGLE = Wrapper(  # not /search: whoever searches for a site's name has not opened it
    frozenset({"q", "url", "u", "imgurl", "imgrefurl"}), ("/url", "/imgres", "/gwt", "/translate"), "amp"
)

SITES: dict[str, Wrapper] = {
    # archives
    **dict.fromkeys(("archive.today", "archive.ph", "archive.is", "archive.li", "archive.md"), _TAIL),
    **dict.fromkeys(("archive.fo", "archive.vn", "web.archive.org", "wayback.archive.org"), _TAIL),
    **dict.fromkeys(("wayback.archive-it.org", "arquivo.pt", "www.webarchive.org.uk"), _TAIL),
    **dict.fromkeys(("webarchive.nationalarchives.gov.uk", "timetravel.mementoweb.org"), _TAIL),
    **dict.fromkeys(("ghostarchive.org", "www.webcitation.org"), _TAIL),
    # readers, cleaners and forwarders that take the address behind their own
    **dict.fromkeys(("r.jina.ai", "12ft.io", "1ft.io", "txtify.it", "www.removepaywall.com"), _TAIL),
    **dict.fromkeys(("via.hypothes.is", "cachedview.nl", "cors-anywhere.herokuapp.com"), _TAIL),
    **dict.fromkeys(("corsproxy.io", "thingproxy.freeboard.io", "image.thum.io", "href.li"), _TAIL),
    **dict.fromkeys(
        ("i0.wp.com", "i1.wp.com", "i2.wp.com", "i3.wp.com", "s0.wp.com", "s.wordpress.com"), _TAIL
    ),
    # translators, caches, viewers and printers that take it as a parameter
    **dict.fromkeys(("translate.googleusercontent.com", "webcache.googleusercontent.com"), _QUERY),
    **dict.fromkeys(("translate.yandex.com", "translate.yandex.ru", "translate.yandex.net"), _QUERY),
    **dict.fromkeys(("www.translatetheweb.com", "www.microsofttranslator.com", "cc.bingj.com"), _QUERY),
    **dict.fromkeys(("docs.google.com", "view.officeapps.live.com", "googleweblight.com"), _QUERY),
    **dict.fromkeys(
        ("validator.w3.org", "jigsaw.w3.org", "www.w3.org", "web.dev", "pagespeed.web.dev"), _QUERY
    ),
    **dict.fromkeys(("www.printfriendly.com", "images.weserv.nl", "wsrv.nl", "api.allorigins.win"), _QUERY),
    **dict.fromkeys(("external-content.duckduckgo.com", "proxy.duckduckgo.com", "api.codetabs.com"), _QUERY),
}
"""Every wrapper that is known by its whole name."""

FAMILIES: tuple[tuple[str, Wrapper], ...] = (
    (r"translate\.google\.[a-z]{2,3}(?:\.[a-z]{2})?", _QUERY),
    (r"(?:www\.)?google\.[a-z]{2,3}(?:\.[a-z]{2})?", _GOOGLE),
    (r"(?:[a-z0-9-]+\.)?cdn\.ampproject\.org", Wrapper(path="amp")),
    (r"(?:[a-z0-9-]+\.)?bing-amp\.com", Wrapper(path="amp")),
)
"""Those known by a pattern of their name. `NAME.translate.goog` is one more: its name is the address."""

_FAMILIES = tuple((re.compile(pattern), wrapper) for pattern, wrapper in FAMILIES)
_TRANSLATED = ".translate.goog"
_FAMILY_ENDS = (_TRANSLATED, "cdn.ampproject.org", "bing-amp.com")

_SCHEME = re.compile(r"(?:https?|wss?):", re.IGNORECASE)
_DOUBLED = re.compile(r"^((?:https?|wss?):)[/\\]*", re.IGNORECASE)
_HOST = re.compile(r"(?:[^@]*@)?(?:[\w-]+\.)+([^\W\d_]{2,63}|xn--[a-z0-9-]+)\.?(?::\d{1,5})?", re.IGNORECASE)
_CACHE = re.compile(r"\s*cache:(?:[\w-]{1,32}:(?!/))?", re.IGNORECASE)
_IP = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|\[[0-9a-f:.]+\]", re.IGNORECASE)
_AMP_MARKERS = frozenset({"amp", "c", "s", "v", "i", "a", "r", "wp", "ii", "mbv", "viewer"})
_FILES = frozenset(
    {"html", "htm", "php", "aspx", "asp", "jsp", "cgi", "js", "mjs", "css", "json", "xml", "txt"}
)
_FILES |= {
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "ico",
    "webp",
    "woff",
    "woff2",
    "ttf",
    "pdf",
    "mp4",
    "webm",
    "map",
}
"""Ends of the names of files: `index.html` in a wrapper's own path is no host."""


def inner_urls(url: Url) -> tuple[Url, ...]:
    """Return every address that `url` shows inside itself, outermost first; usually none.

    Raises `TooManyInnerError` where there are more than are judged.
    """
    if not is_wrapper(url.host):
        return ()
    found: dict[Url, None] = {url: None}
    waiting = [url]
    while waiting:
        for inner in _inner(waiting.pop(0)):
            if inner not in found:
                if len(found) > MOST_INNER:
                    raise TooManyInnerError("the address holds too many other addresses")
                found[inner] = None
                waiting.append(inner)
    return tuple(found)[1:]


def is_wrapper(host: str) -> bool:
    """Tell whether addresses on this host may show others."""
    # First of all, because nearly no address is one, and every request comes through here.
    return host in SITES or host.endswith(_FAMILY_ENDS) or "google." in host


def _inner(url: Url) -> Iterator[Url]:
    if url.host.endswith(_TRANSLATED):
        yield from _translated(url)
        return
    wrapper = SITES.get(url.host) or _family(url.host)
    if wrapper is None:
        return
    if wrapper.path == "tail":
        yield from _tail(url)
    elif wrapper.path == "amp":
        yield from _amp(url)
    if url.query:
        yield from _parameters(url, wrapper)


def _family(host: str) -> Wrapper | None:
    return next((wrapper for pattern, wrapper in _FAMILIES if pattern.fullmatch(host)), None)


def _translated(url: Url) -> Iterator[Url]:
    # `www-example-com` is www.example.com; a real dash is doubled (`a--b-com` is a-b.com). What did not
    # fit into one label comes in a parameter.
    told = {name.lower(): value for name, value in _pairs(url.query)}
    label = told.get("_x_tr_hp", "") + url.host.removesuffix(_TRANSLATED)
    if told.get("_x_tr_enc"):
        label = re.sub(r"^[01]-", "", label)
    host = label.replace("--", "\0").replace("-", ".").replace("\0", "-")
    own = [part for part in url.query.split("&") if part and not part.lower().startswith("_x_tr_")]
    if inner := _parse(f"https://{host}{url.path}{'?' if own else ''}{'&'.join(own)}"):
        yield inner


def _tail(url: Url) -> Iterator[Url]:
    """Yield the address that begins in the first part of the path that can begin one.

    And those that begin with a scheme behind it: a site may skip what it does not understand.
    """
    query = f"?{url.query}" if url.query else ""
    parts = _plain(url.path).replace("*", "").split("/")  # a star asks an archive for all that begins so
    begun = False
    for number, part in enumerate(parts):
        if _SCHEME.match(part) or (not begun and _like_host(part)):
            begun = True
            if inner := _parse("/".join(parts[number:]) + query):
                yield inner


def _amp(url: Url) -> Iterator[Url]:
    parts = [part for part in _plain(url.path).split("/") if part]
    marked = False
    while parts and parts[0].lower() in _AMP_MARKERS:
        parts.pop(0)
        marked = True
    if marked and parts and (_SCHEME.match(parts[0]) or _like_host(parts[0])):
        query = f"?{url.query}" if url.query else ""
        if inner := _parse("/".join(parts) + query):
            yield inner


def _parameters(url: Url, wrapper: Wrapper) -> Iterator[Url]:
    if url.path.lower().startswith(wrapper.below):
        for name, value in _pairs(url.query):
            if name.lower() in wrapper.parameters:
                # A cache's own query: `cache:KEY:ADDRESS words`, or `cache:ADDRESS`.
                cached = _CACHE.match(value)
                if inner := _parse(value[cached.end() :].partition(" ")[0] if cached else value):
                    yield inner
    if wrapper.query:
        text = _plain(url.query)
        if (_SCHEME.match(text) or _like_host(text.partition("/")[0])) and (inner := _parse(text)):
            yield inner


def _pairs(query: str) -> list[tuple[str, str]]:
    # Every value of a parameter that comes more than once: which of them a site takes, nobody knows.
    return parse_qsl(query.replace(";", "&"))


def _plain(text: str) -> str:
    # Encoded as often as anybody likes: each round only shortens it.
    while "%" in text and (shorter := unquote(text)) != text:
        text = shorter
    return text


def _like_host(text: str) -> bool:
    if _IP.fullmatch(text):
        return True
    match = _HOST.fullmatch(text.lstrip("."))
    return match is not None and match[1].lower() not in _FILES


def _parse(text: str) -> Url | None:
    text = _plain(text).strip().lstrip("/\\")
    text = _DOUBLED.sub(r"\1//", text) if _SCHEME.match(text) else f"https://{text}"
    try:
        inner = parse_url(text)
    except UrlRefusedError:
        return None
    return inner if "." in inner.host or inner.ip else None
