"""How far an encrypted connection is looked into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Inspect(StrEnum):
    """What the gateway may read of a site's encrypted connections."""

    NEVER = "never"  # the name alone: bytes pass as they are, under the site's own certificate
    ADDRESSES = "addresses"  # the addresses of its pages
    CONTENT = "content"  # addresses, and what pages say where a rule reads it


DEPTH: Mapping[Inspect, int] = {Inspect.NEVER: 0, Inspect.ADDRESSES: 1, Inspect.CONTENT: 2}
"""The order of the three, from the least."""


@dataclass(frozen=True, slots=True)
class SiteRule:
    """The school's own word on one site and everything below it. `where` is file and line."""

    host: str
    level: Inspect
    because: str
    where: str


@dataclass(frozen=True, slots=True)
class Traits:
    """What the lists say of a site beside what it is about.

    `pages`: some list names single pages of it, so that its name alone says too little. `pinned`: why
    its apps accept no certificate but its own, or an empty text.
    """

    pages: bool = True
    pinned: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """How far a connection is looked into, and why; `rule` is file and line where one decided."""

    level: Inspect
    because: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Sites:
    """Rules for single sites, by host."""

    rules: Mapping[str, SiteRule] = field(default_factory=dict)

    def of(self, host: str) -> SiteRule | None:
        """Return the rule of `host`, or of the nearest name above it."""
        while host:
            if (found := self.rules.get(host)) is not None:
                return found
            host = host.partition(".")[2]
        return None
