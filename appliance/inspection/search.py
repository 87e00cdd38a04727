"""Search terms: what somebody was looking for (DFE-F10, S-40).

What lives only here: which parameter of which site holds the words, in an address and in a form that is sent
as a body (some engines search by POST, so that the words stay out of addresses). Of a body nothing else is
taken. Pages that search as one types, in messages of their own kind, are not seen here.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from appliance.model.url import Url

_SECOND_LEVEL = 2

MAX_TERM = 300
"""Longest term kept, in characters."""
MAX_READ = 4096
"""How far a query or a form is read for its words, in bytes."""
_FORM = "application/x-www-form-urlencoded"

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
    return _term(url.host, url.query) if url.query else ""


def may_hold_term(url: Url, method: str) -> bool:
    """Tell whether the body of a request to `url` has to be looked at for search words."""
    return method == "POST" and bool(_parameters(url.host))


def posted_term(url: Url, kind: str, body: bytes) -> str:
    """Return the words searched for by a form sent to `url`, at most 300 characters, or an empty text.

    `kind` is the Content-Type; `body` the first `MAX_READ` bytes, or all where there are fewer. Only forms of
    the usual kind (URL standard, `application/x-www-form-urlencoded`) are read, whatever bytes they hold.
    """
    if kind.partition(";")[0].strip().lower() != _FORM:
        return ""
    return _term(url.host, body.decode("utf-8", "replace"))


def _term(host: str, text: str) -> str:
    names = _parameters(host)
    if not names:
        return ""
    # The first of repeated parameters counts, as it does for the engines; a flood of them is cut.
    given = dict(reversed(parse_qsl(text[:MAX_READ])))
    return next((term[:MAX_TERM] for name in names if (term := given.get(name, "").strip())), "")


def _parameters(host: str) -> tuple[str, ...]:
    # The registrable name is the label before a suffix of one or two short labels: google.com,
    # google.co.uk, google.com.au. google.example.org is somebody else's.
    labels = host.split(".")
    if labels[-2:-1] and labels[-2] in _ENGINES:
        return _ENGINES[labels[-2]]
    if len(labels) > _SECOND_LEVEL and labels[-2] in ("co", "com", "net", "org"):
        return _ENGINES.get(labels[-3], ())
    return ()
