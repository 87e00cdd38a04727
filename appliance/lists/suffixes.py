"""Names under which anybody can register: `com`, `ac.uk`, `blogspot.com`.

What lives only here: the public suffix list (bundled with the publicsuffixlist package) as a
set that can be asked for each of millions of names. A list that names one of these by mistake
would block or open half of the web.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from importlib import resources
from typing import Protocol

import re2

_MATCHER_BYTES = 32 << 20


class Searching(Protocol):
    """A compiled expression over bytes."""

    def search(self, text: bytes, /) -> object | None:
        """Return what was found, if anything."""

    def fullmatch(self, text: bytes, /) -> object | None:
        """Return a match where the whole text is one."""


class PublicSuffixes:
    """The rules of publicsuffix.org, both sections (ICANN's, and those of hosting companies).

    `exact` are the plain rules; every name directly below one of `parents` is a suffix as well,
    but for the `exceptions`.
    """

    def __init__(self, rules: list[str]) -> None:
        plain = {_ascii(rule) for rule in rules}
        self.exceptions = frozenset(rule[1:] for rule in plain if rule.startswith("!"))
        self.parents = frozenset(rule[2:] for rule in plain if rule.startswith("*."))
        self.exact = frozenset(rule for rule in plain if rule[0] not in "!*")
        self._below = _any_below(self.parents)

    def __contains__(self, name: str) -> bool:
        """Tell whether the ASCII `name` is a public suffix, or has one label only."""
        if name in self.exact:
            return True
        _, dot, parent = name.partition(".")
        return not dot or (parent in self.parents and name not in self.exceptions)

    def may_hold(self, names: Sequence[str], lines: bytes) -> bool:
        """Tell whether one of many names may be a public suffix; a quick no for nearly all lists.

        `lines` are the same names, of two labels or more, each closed by a line end.
        """
        return not self.exact.isdisjoint(names) or bool(self._below and self._below.search(lines))


@functools.cache
def public_suffixes() -> PublicSuffixes:
    """Return the bundled rules, read once a process."""
    source = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat")
    lines = (line.strip() for line in source.read_text("utf-8").splitlines())
    return PublicSuffixes([line.split()[0] for line in lines if line and not line.startswith("//")])


def _any_below(parents: AbstractSet[str]) -> Searching | None:
    """Return what finds a line that stands directly below one of `parents`."""
    if not parents:
        return None
    some = "|".join(re2.escape(parent) for parent in sorted(parents))
    found: Searching = re2.compile(rf"(?m:^)[^.\n]+\.(?:{some})\n", bulk_options())
    return found


def bulk_options() -> re2.Options:
    """Return how to look through many lines at once: for a yes or no, with enough memory for speed."""
    options = re2.Options()
    options.never_capture = True
    options.max_mem = _MATCHER_BYTES
    return options


def _ascii(rule: str) -> str:
    return rule if rule.isascii() else rule.encode("idna").decode("ascii")
