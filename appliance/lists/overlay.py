"""A few entries in memory that are looked up beside the table: local decisions and help lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from appliance.lists.entries import base_key, covers, host_key, listed_path
from appliance.model.known import Match
from appliance.model.url import Url


class Answer(NamedTuple):
    """Every match that covers an address; `varies` where another path on its host could have other ones."""

    matches: tuple[Match, ...] = ()
    varies: bool = False


_NOTHING = Answer()


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
        # Nearly every address is of a site of which nothing is known here, as two labels are enough to say.
        self._sites = frozenset(_site(key) for key in self._known)
        self._networks = sorted({len(key) for key in self._hosts if key[1:2] == "/"})

    def __len__(self) -> int:
        return len(self.entries)

    def lookup(self, url: Url) -> tuple[Match, ...]:
        """Return every match that covers `url`."""
        return self.ask(url).matches

    def ask(self, url: Url) -> Answer:
        """Return every match that covers `url`, and whether they are those of its whole host."""
        around = self._around(url)
        if self._known.isdisjoint(around):
            return _NOTHING
        found = [match for key in around for match in self._hosts.get(key, ())]
        varies = False
        for base in around:
            if entries := self._urls.get(base):
                varies = True
                key = base + listed_path(url)
                found += [match for entry, match in entries if key.startswith(entry) and covers(entry, key)]
        return Answer(tuple(found), varies)

    def _around(self, url: Url) -> list[str]:
        """Return the keys of the host and its parents, or of an address and the networks around it."""
        key = host_key(url)
        if url.ip is not None:
            return [base_key(url), *(key[:end] for end in self._networks if end <= len(key))]
        first = key.find(".") + 1
        if key[:first] not in self._sites and _site(key) not in self._sites:
            return []
        found = []
        at = first
        while at:
            found.append(key[:at])
            at = key.find(".", at) + 1
        return found


def _site(key: str) -> str:
    """Return the last two labels of a name's key; a key that has one, or is of another kind, whole."""
    return key[: key.find(".", key.find(".") + 1) + 1] or key
