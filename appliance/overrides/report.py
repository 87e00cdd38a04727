"""What was visited under an override, and by whom: the report for whoever granted it.

What lives only here: how what the log has counted becomes that report. A child whom the log does not know
stays unknown: there a group and a device are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Row(Protocol):
    """What the report reads of the log: how often one person or device was at one site."""

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
    def times(self) -> int:
        """How often."""

    @property
    def first(self) -> int:
        """Milliseconds since 1970."""

    @property
    def last(self) -> int:
        """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What one person or device did at one site; moments in seconds since 1970.

    Of what is past its days `name`, `device` and `host` are empty: then it is all that a group did.
    """

    name: str
    group: str
    device: str
    host: str
    times: int
    first: float
    last: float

    @property
    def who(self) -> str:
        """The person with their group; where the log knew none, the group and the device."""
        if self.name:
            return f"{self.name} ({self.group})"
        return f"{self.group} at {self.device}" if self.device else self.group


def visits(rows: Iterable[Row]) -> list[Visit]:
    """Return who visited which site how often, by person and then by site; an unknown child stays unknown."""
    return merged(
        Visit(
            row.name,
            row.group,
            "" if row.name else row.device or row.client,
            row.host,
            row.times,
            row.first / 1000,
            row.last / 1000,
        )
        for row in rows
    )


def merged(found: Iterable[Visit]) -> list[Visit]:
    """Return visits with those of one person at one site as one, in the order of names."""
    known: dict[tuple[str, str, str, str], Visit] = {}
    for one in found:
        key = (one.name, one.group, one.device, one.host)
        if (before := known.get(key)) is None:
            known[key] = one
        else:
            times, first = before.times + one.times, min(before.first, one.first)
            known[key] = Visit(*key, times, first, max(before.last, one.last))
    return [known[key] for key in sorted(known)]
