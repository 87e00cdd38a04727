"""From an address to the table's matches, quickly.

What lives only here: the walk through the table for one address, and a small memory of hosts
that were asked about lately, since a page asks for the same hosts again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import re2

from appliance.lists.entries import base_key, covers, host_key, listed_path, shown
from appliance.lists.merging import HAS_URLS
from appliance.lists.reading import expression_options
from appliance.lists.table import Table
from appliance.model.known import Match, Use
from appliance.model.url import Url

MOST_HOSTS = 4096
"""Hosts remembered: about 1 MB."""

type Hit = tuple[int, str]
"""The number of a list, and the key in it that covers the address."""


class _Host(NamedTuple):
    """What the table says of a host: hits, their matches, and the bases below which it has URLs."""

    hits: tuple[Hit, ...]
    matches: tuple[Match, ...]
    bases: tuple[str, ...]


class Finder:
    """Finds the matches of addresses in one table, or none where there is no table."""

    def __init__(self, table: Table | None) -> None:
        self._table = table
        self._hosts: dict[str, _Host] = {}
        self._lists = table.contents.lists if table is not None else ()
        self._uses = tuple(Use(info.use) for info in self._lists)
        self._excepting = frozenset(at for at, info in enumerate(self._lists) if info.excepts >= 0)
        self._patterns = table.contents.expressions if table is not None else ()
        self._set = _compiled([pattern for _, pattern in self._patterns])
        self._asked: tuple[Url | None, list[Hit]] = (None, [])

    def find(self, url: Url) -> tuple[Match, ...]:
        """Return a match for each list that names the address, with its most specific entry."""
        if self._table is None:
            return ()
        host = self._hosts.get(url.host)
        if host is None:
            host = self._remember(url, self._table)
        if not host.bases and self._set is None:
            return host.matches
        hits, expressed = self._urls(host, url, self._table), self._expressions(url)
        return self._matches([*host.hits, *hits], expressed) if hits or expressed else host.matches

    def has_urls_on(self, url: Url) -> bool:
        """Tell whether another path on the same host could have another answer."""
        host = self._hosts.get(url.host)
        return host is None or bool(host.bases)

    def expresses(self, url: Url) -> bool:
        """Tell whether a regular expression of some list names the address."""
        return self._set is not None and bool(self._expressions(url))

    def _remember(self, url: Url, table: Table) -> _Host:
        if len(self._hosts) >= MOST_HOSTS:
            self._hosts.clear()
        hits: list[Hit] = []
        bases: list[str] = []
        for key, members in table.prefixes(host_key(url)):
            for member in members:
                if member == HAS_URLS:
                    bases.append(base_key(url) if url.ip is not None else key)
                else:
                    hits.append((member, key))
        host = _Host(tuple(hits), self._matches(hits), tuple(bases))
        self._hosts[url.host] = host
        return host

    def _urls(self, host: _Host, url: Url, table: Table) -> list[Hit]:
        """Return the hits of entries with a path; entries of the host alone are not among them."""
        hits: list[Hit] = []
        path = listed_path(url) if host.bases else ""
        for base in host.bases:
            key = base + path
            for found, members in table.prefixes(key):
                if len(found) > len(base) and covers(found, key):
                    hits.extend((member, found) for member in members)
        return hits

    def _expressions(self, url: Url) -> list[Hit]:
        if self._set is None:
            return []
        asked, hits = self._asked  # one look-up asks up to three times, and each costs as much as the rest
        if asked is not url:
            found = self._set.Match(url.host + listed_path(url)) or ()
            hits = [self._patterns[at] for at in found]
            self._asked = (url, hits)
        return hits

    def _matches(self, hits: list[Hit], expressed: Iterable[Hit] = ()) -> tuple[Match, ...]:
        """Make one match a list, of its most exact entry; a list that takes the address back is left out.

        `hits` come as the table has them: the widest first, and pages after hosts. Expressions say least.
        """
        taken_back = {self._lists[at].excepts for at, _ in hits if at in self._excepting}
        left_out = self._excepting | taken_back
        best = {at: key for at, key in hits if at not in left_out}
        for at, key in expressed:
            if at not in left_out:
                best.setdefault(at, key)
        return tuple(self._match(at, key) for at, key in best.items())

    def _match(self, at: int, key: str) -> Match:
        info = self._lists[at]
        entry = key if (at, key) in self._patterns else shown(key)
        return Match(info.id, info.version, entry, info.categories, self._uses[at])


def _compiled(patterns: list[str]) -> re2.Set | None:
    if not patterns:
        return None
    found = re2.Set.SearchSet(expression_options())
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found
