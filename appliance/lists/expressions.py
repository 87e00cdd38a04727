"""All the ways in which one address can stand on a list of URLs.

What lives only here: host-suffix and path-prefix expressions (Safe Browsing v4,
"Suffix/Prefix Expressions"), and those beyond the specification that a server may take for the same page:
another letter case, something after the page's name, parameters more or in another order. A list may name
a whole site, a folder of it or one page; each expression of an address is one such name that covers it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from appliance.model.url import Url, canonical_path

SPEC_HOSTS = 4
"""Host suffixes beside the exact host that the specification tries, from the last five labels."""
SPEC_FOLDERS = 4
"""Path prefixes, counted from the root, that the specification tries."""
MOST_FOLDERS = 64
"""Folders we try: far more than any real address has, and few enough to bound the work."""

# Where the name of a page may end: PHP and others run `/page.php/x`, `/page.php;x`, `/page.php&x`, Windows
# drops dots and blanks behind a name and reads `page.php::$DATA`, and some programs stop at a NUL.
_END = re.compile(r"[/;&:,]|%(?:[01][0-9a-f]|20|23|5c)|\.+(?=$|[/;&:,]|%(?:[01][0-9a-f]|20|23|5c))")
_SEPARATORS = re.compile(r"[&;?]")


def host_suffixes(url: Url) -> tuple[str, ...]:
    """Return the host and every parent of it that has at least two labels, longest first.

    An IP address, and a host of one label, stand for themselves alone.
    """
    if url.ip is not None:
        return (url.host,)
    labels = url.host.split(".")
    return (url.host, *(".".join(labels[i:]) for i in range(1, len(labels) - 1)))


def path_prefixes(url: Url, folders: int = MOST_FOLDERS) -> tuple[str, ...]:
    """Return the canonical path with its query, the path alone, and its folders from the root down.

    At most `folders` folders are returned, the root `/` being the first of them.
    """
    whole = canonical_path(url)
    path = whole.partition("?")[0]
    return tuple(dict.fromkeys((whole, path, *itertools.islice(_folders(path), folders))))


def safe_browsing(url: Url) -> tuple[str, ...]:
    """Return exactly the expressions which the Safe Browsing v4 specification lists for `url`."""
    exact, *parents = host_suffixes(url)
    last_five = [host for host in parents if host.count(".") < SPEC_HOSTS + 1]
    hosts = (exact, *last_five[-SPEC_HOSTS:])
    return tuple(host + path for host in hosts for path in path_prefixes(url, SPEC_FOLDERS))


def covering(host: str, url: Url) -> Iterator[str]:
    """Yield every expression of an entry without a query, as `listed` makes them, that covers `url`.

    A listed folder six levels down must be found, and a server that answers `/page`, `/PAGE`, `/page/`
    and `/page/x` alike must not be a way round the list; the specification's own limits leave that open.
    """
    path = canonical_path(url).partition("?")[0].lower()
    yield from (host + page for page in _pages(path))


def covering_before(host: str, url: Url) -> Iterator[str]:
    """Yield every expression in the forms in which releases before this one kept them, too.

    They kept letter case, the slash at the end, and a query as it came.
    """
    whole = canonical_path(url)
    yield host + whole
    path = whole.partition("?")[0]
    for spelled in dict.fromkeys((path.lower(), path)):
        for page in _pages(spelled):
            yield host + page
            if page != "/":
                yield host + page + "/"


def queried(host: str, url: Url) -> Iterator[str]:
    """Yield what entries with a query begin with, for each page under `host` that `url` may be."""
    path = canonical_path(url).partition("?")[0].lower()
    yield from (f"{host}{page}?" for page in _pages(path))


def parameters(url: Url) -> tuple[str, ...]:
    """Return the parameters of the query, each once, sorted: their order and repetition mean nothing."""
    query = canonical_path(url).partition("?")[2].lower().replace("+", "%20")
    return tuple(sorted(set(filter(None, _SEPARATORS.split(query)))))


def listed(url: Url) -> tuple[str, tuple[str, ...]]:
    """Return the expression under which an entry is kept, and its beginnings where it has a query.

    An entry with a query covers every address of its page that has all its parameters. The beginnings
    (the page, then one parameter more each) lead there, so that no look-up tries every combination.
    """
    path = canonical_path(url).partition("?")[0].lower()
    page = url.host + (path if path == "/" else path.removesuffix("/"))
    beginnings = [f"{page}?"]
    for parameter in parameters(url):
        beginnings.append(joined(beginnings[-1], parameter))
    return (page, ()) if len(beginnings) == 1 else (beginnings[-1], tuple(beginnings))


def joined(beginning: str, parameter: str) -> str:
    """Return the beginning with one parameter more."""
    return beginning + parameter if beginning.endswith("?") else f"{beginning}&{parameter}"


def _pages(path: str) -> Iterator[str]:
    """Yield the root, and each beginning of the path that may be a page or a folder of its own."""
    yield "/"
    ends = (match.start() for match in _END.finditer(path, 1))
    for end in dict.fromkeys(itertools.chain(itertools.islice(ends, MOST_FOLDERS), (len(path),))):
        if end > 1:
            yield path[:end].removesuffix("/")


def _folders(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[: at + 1]
        at = path.find("/", at + 1)
