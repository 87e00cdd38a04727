"""What the lists know of one address, before anybody judges it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a list is for."""

    CATEGORY = "category"  # says what a site is about; the profile rates that
    BLOCK = "block"  # the school's own decision to block
    ALLOW = "allow"  # the school's own decision to open
    HELP = "help"  # help lines: open in every profile, even when the filter is failing


@dataclass(frozen=True, slots=True)
class Match:
    """One list's entry that names the address.

    `list` and `version` say which list, `entry` what stands in it; `length` is the number of
    characters of the entry, so that the most specific of two local decisions can win;
    `because` is the reason given with a local entry. A match never comes from a floor list.
    """

    list: str
    version: str
    entry: str
    categories: tuple[str, ...]
    use: Use = Use.CATEGORY
    because: str = ""

    @property
    def length(self) -> int:
        """How specific the entry is."""
        return len(self.entry)


class FloorState(StrEnum):
    """Whether the statutory lists can be relied upon now."""

    OK = "ok"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Floor:
    """The statutory lists' answer. It holds no entry and no address, so that none can be shown.

    `list` is set on a hit; `category` is the category which that list feeds.
    """

    state: FloorState
    list: str = ""
    version: str = ""
    category: str = ""
    detail: str = ""

    @property
    def hit(self) -> bool:
        """True when a floor list names the address."""
        return bool(self.list)


@dataclass(frozen=True, slots=True)
class Known:
    """Everything the lists say of one address."""

    floor: Floor
    matches: tuple[Match, ...] = ()
