"""What lives by an override, and its end.

What lives only here: which connections were open by which overrides. When one ends, so do they;
what passes unread is judged again by `passage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Connection(Protocol):
    """One open client connection: `handler.Handler`."""

    overrides: frozenset[int]

    def cut(self) -> None:
        """End it on both sides, at once."""


class Open(Protocol):
    """Where open connections are found: `door.Doors`."""

    @property
    def connections(self) -> Mapping[Any, Any]:
        """Every open connection."""

    def handler_of(self, client: Any) -> Connection | None:
        """Return the connection of a client that is still there."""


def lives_by(doors: Open, client: Any, overrides: frozenset[int]) -> None:
    """Note that something on a client's connection is open by these overrides, if by any."""
    if overrides and (handler := doors.handler_of(client)) is not None:
        handler.overrides |= overrides


def cut_overrides(doors: Open, ended: frozenset[int]) -> int:
    """End every open connection that lived by an override which has ended, at once; return how many."""
    lost = [
        handler
        for handler in list(doors.connections.values())
        if getattr(handler, "overrides", frozenset[int]()) & ended
    ]
    for handler in lost:
        handler.cut()
    return len(lost)
