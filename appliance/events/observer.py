"""What the log tells about itself, while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Observer(Protocol):
    """Who is told; the metrics, in the gateway."""

    def event_queue(self, length: int) -> None:
        """`length` ordinary events wait in memory now."""

    def event_commit(self, seconds: float) -> None:
        """A transaction that holds flagged events took `seconds`."""

    def events_spilled(self, count: int) -> None:
        """`count` flagged events went to the spill file, because the database did not take them."""

    def events_dropped(self, count: int) -> None:
        """`count` ordinary events were given up, because the queue was full or the log closed."""


@dataclass(slots=True)
class Counters:
    """An observer that only counts; what a store has when nobody else is told."""

    queued: int = 0
    commits: int = 0
    commit_seconds: float = 0.0
    spilled: int = 0
    dropped: int = 0

    def event_queue(self, length: int) -> None:
        """Keep the last length."""
        self.queued = length

    def event_commit(self, seconds: float) -> None:
        """Count one commit and its time."""
        self.commits += 1
        self.commit_seconds += seconds

    def events_spilled(self, count: int) -> None:
        """Add to the spilled ones."""
        self.spilled += count

    def events_dropped(self, count: int) -> None:
        """Add to the dropped ones."""
        self.dropped += count
