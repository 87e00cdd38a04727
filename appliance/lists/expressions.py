"""All the ways in which one address can stand on a list of URLs.

What lives only here: host-suffix and path-prefix expressions (Safe Browsing v4,
"Suffix/Prefix Expressions"). A list may name a whole site, a folder of it or one page;
each expression of an address is one such name that would cover it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from appliance.model.url import Url, canonical_path

SPEC_HOSTS = 4
"""Host suffixes beside the exact host that the specification tries, from the last five labels."""
SPEC_FOLDERS = 4
"""Path prefixes, counted from the root, that the specification tries."""
MOST_FOLDERS = 64
"""Folders we try: far more than any real address has, and few enough to bound the work."""


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
    """Yield every expression under `host` that covers `url`: the specification's, and deeper ones.

    A listed folder six levels down must be found, and a server that answers `/page` and `/page/`
    alike must not be a way round the list; the specification's own limits leave both open.
    """
    paths = path_prefixes(url)
    yield from (host + path for path in paths)
    page = paths[0].partition("?")[0]
    twin = page[:-1] if page.endswith("/") else page + "/"
    if twin:
        yield host + twin


def _folders(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[: at + 1]
        at = path.find("/", at + 1)
