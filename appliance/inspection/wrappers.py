"""Sites that show other sites: translators, caches, archives, accelerators.

What lives only here: where such a site keeps the address it shows. The inner address is judged
as well as the outer one, so that a blocked site does not open through its translation.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from appliance.model.url import Url, UrlRefusedError, parse_url

MAX_DEPTH = 4
"""How many wrappers inside wrappers are followed."""

_ARCHIVE = re.compile(r"^/(?:web/|save/)?(?:_embed/)?(?:\d{1,14}[a-z_*]*|\*|newest|oldest)/(.+)$")
_ARCHIVE_SAVE = re.compile(r"^/(?:save|web)/(https?:.+)$")

# Host -> parameters that hold the inner address.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "translate.google.com": ("u",),
    "translate.googleusercontent.com": ("u",),
    "webcache.googleusercontent.com": ("q",),
    "translate.yandex.com": ("url",),
    "www.translatetheweb.com": ("a",),
    "www.microsofttranslator.com": ("a",),
    "cc.bingj.com": ("u",),
    "www.google.com": ("url", "imgurl"),
    "docs.google.com": ("url",),
    "view.officeapps.live.com": ("src",),
    "validator.w3.org": ("uri",),
    "web.dev": ("url",),
}
_ARCHIVES = frozenset({"web.archive.org", "wayback.archive.org"})
_ARCHIVE_TODAY = frozenset({f"archive.{tld}" for tld in ("today", "ph", "is", "li", "md", "vn", "fo")})
_MARKER = 3  # longest marker of the kind of document in an AMP cache's path
_AMP = ".cdn.ampproject.org"
_TRANSLATED = ".translate.goog"


def inner_urls(url: Url) -> tuple[Url, ...]:
    """Return the addresses that `url` shows inside itself, outermost first; usually none."""
    found: list[Url] = []
    current: Url | None = url
    while current is not None and len(found) < MAX_DEPTH:
        current = _inner(current)
        if current is None or current in found or current == url:
            break
        found.append(current)
    return tuple(found)


def _inner(url: Url) -> Url | None:
    host = url.host
    if host.endswith(_TRANSLATED):
        return _parse(f"https://{_undash(host.removesuffix(_TRANSLATED))}{url.path}")
    if host.endswith(_AMP) or host == _AMP[1:]:
        return _amp(url)
    if host in _ARCHIVES or host in _ARCHIVE_TODAY:
        match = _ARCHIVE.match(url.path) or _ARCHIVE_SAVE.match(url.path)
        return _parse(unquote(match[1])) if match else None
    names = _PARAMETERS.get(host)
    return _parameter(url, names) if names and url.query else None


def _undash(label: str) -> str:
    # `www-example-com` is www.example.com; a real dash is doubled (`a--b-com` is a-b.com).
    return label.replace("--", "\0").replace("-", ".").replace("\0", "-")


def _amp(url: Url) -> Url | None:
    parts = [part for part in url.path.split("/") if part]
    while parts and len(parts[0]) <= _MARKER and "." not in parts[0]:
        parts.pop(0)  # the markers of the kind of document: c, s, v, i, a, r, wp
    return _parse("https://" + "/".join(parts)) if parts else None


def _parameter(url: Url, names: tuple[str, ...]) -> Url | None:
    for name, value in parse_qsl(url.query):
        if name in names:
            text = value.split(":", 2)[-1] if value.startswith("cache:") else value
            inner = _parse(text.strip())
            if inner is not None:
                return inner
    return None


def _parse(text: str) -> Url | None:
    if "://" not in text and not text.startswith(("http:", "https:")):
        text = f"https://{text}"
    else:
        text = re.sub(r"^(https?):/+", r"\1://", text)
    try:
        inner = parse_url(text)
    except UrlRefusedError:
        return None
    return inner if "." in inner.host or inner.ip else None
