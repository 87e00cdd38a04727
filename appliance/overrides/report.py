"""What was visited under an override, and by whom: the report for whoever granted it.

What lives only here: how rows of the log become that report. It is made from the log whenever somebody asks,
and so shows nothing for longer than the log may keep it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Row(Protocol):
    """What the report reads of one access in the log."""

    @property
    def name(self) -> str:
        """The person, or an empty text."""

    @property
    def group(self) -> str:
        """Whose rules applied."""

    @property
    def device(self) -> str:
        """The device, or an empty text."""

    @property
    def client(self) -> str:
        """The device's network address."""

    @property
    def host(self) -> str:
        """The site."""

    @property
    def time(self) -> int:
        """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What one person or device did at one site; moments in seconds since 1970."""

    who: str
    host: str
    times: int
    first: float
    last: float


def visits(rows: Iterable[Row]) -> list[Visit]:
    """Return who visited which site how often, by person and then by site; an unknown child stays unknown."""
    found: dict[tuple[str, str], Visit] = {}
    for row in rows:
        key = (_who(row), row.host)
        at = row.time / 1000
        before = found.get(key) or Visit(*key, 0, at, at)
        found[key] = Visit(*key, before.times + 1, min(before.first, at), max(before.last, at))
    return [found[key] for key in sorted(found)]


def _who(row: Row) -> str:
    if row.name:
        return f"{row.name} ({row.group})"
    return f"{row.group} at {row.device or row.client}".strip()
