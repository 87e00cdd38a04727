"""Search terms in addresses: what somebody was looking for (DFE-F10, S-40).

What lives only here: which parameter of which site holds the words. Terms in request bodies and
in pages that search as one types are not seen here.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from appliance.model.url import Url

_SECOND_LEVEL = 2

MAX_TERM = 300
"""Longest term kept, in characters."""

# First label of the site's name -> parameters, most telling first. Google, Bing and others have
# one site a country (google.co.uk), so the label is matched, not the whole name.
_ENGINES: dict[str, tuple[str, ...]] = {
    "google": ("q", "as_q"),
    "bing": ("q",),
    "duckduckgo": ("q",),
    "yahoo": ("p",),
    "ecosia": ("q",),
    "qwant": ("q",),
    "startpage": ("query", "q"),
    "brave": ("q",),
    "yandex": ("text",),
    "baidu": ("wd", "word"),
    "ask": ("q",),
    "aol": ("q",),
    "kiddle": ("q",),
    "swisscows": ("query",),
    "mojeek": ("q",),
    "youtube": ("search_query", "q"),
    "tiktok": ("q",),
    "reddit": ("q",),
    "twitter": ("q",),
    "x": ("q",),
    "instagram": ("q",),
    "facebook": ("q",),
    "pinterest": ("q",),
    "wikipedia": ("search",),
    "amazon": ("k", "field-keywords"),
    "ebay": ("_nkw",),
    "perplexity": ("q",),
    "giphy": ("q",),
}


def search_term(url: Url) -> str:
    """Return the words searched for in `url`, at most 300 characters, or an empty text."""
    if not url.query:
        return ""
    names = _parameters(url.host)
    if not names:
        return ""
    # The first of repeated parameters counts, as it does for the engines; a flood of them is cut.
    given = dict(reversed(parse_qsl(url.query[:4096])))
    for name in names:
        term = given.get(name, "").strip()
        if term:
            return term[:MAX_TERM]
    return ""


def _parameters(host: str) -> tuple[str, ...]:
    # The registrable name is the label before a suffix of one or two short labels: google.com,
    # google.co.uk, google.com.au. google.example.org is somebody else's.
    labels = host.split(".")
    if labels[-2:-1] and labels[-2] in _ENGINES:
        return _ENGINES[labels[-2]]
    if len(labels) > _SECOND_LEVEL and labels[-2] in ("co", "com", "net", "org"):
        return _ENGINES.get(labels[-3], ())
    return ()
