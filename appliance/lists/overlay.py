"""A few entries in memory that are looked up beside the table: local decisions and help lines."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.lists.entries import base_key, covers, host_key, listed_path
from appliance.model.known import Match
from appliance.model.url import Url


class Overlay:
    """Matches by key, for some hundreds of entries; frozen once built."""

    def __init__(self, entries: Iterable[tuple[str, Match]] = ()) -> None:
        self.entries = tuple(entries)
        self._hosts: dict[str, list[Match]] = {}
        self._urls: dict[str, list[tuple[str, Match]]] = {}
        for key, match in self.entries:
            base, slash, _ = key.partition("/")
            if slash and base not in {"4", "6"}:
                self._urls.setdefault(base, []).append((key, match))
            else:
                self._hosts.setdefault(key, []).append(match)
        self._known = frozenset((*self._hosts, *self._urls))

    def __len__(self) -> int:
        return len(self.entries)

    def has_urls_on(self, url: Url) -> bool:
        """Tell whether another path on the same host could have another answer."""
        return not self._urls.keys().isdisjoint(_around(url))

    def lookup(self, url: Url) -> tuple[Match, ...]:
        """Return every match that covers `url`."""
        around = _around(url)
        if self._known.isdisjoint(around):
            return ()
        found = [match for key in around for match in self._hosts.get(key, ())]
        for base in around:
            if entries := self._urls.get(base):
                key = base + listed_path(url)
                found += [match for entry, match in entries if key.startswith(entry) and covers(entry, key)]
        return tuple(found)


def _around(url: Url) -> list[str]:
    """Return the keys of the host and its parents, or of an address and every network around it."""
    key = host_key(url)
    if url.ip is not None:
        return [base_key(url), *(key[:end] for end in range(2, len(key) + 1))]
    found = []
    at = key.find(".")
    while at >= 0:
        found.append(key[: at + 1])
        at = key.find(".", at + 1)
    return found
