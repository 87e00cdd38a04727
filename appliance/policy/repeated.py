"""Who has met the statutory lists too often of late: a filter must not serve to find out what is on them.

What lives only here: the count of floor hits by client, and the pause that follows. `now` is an
argument. It holds no address, only that one differs from the last; what it remembers is bounded.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MOST_CLIENTS = 10_000
"""Clients remembered; the one that was quiet longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many floor hits within how many seconds lead to a pause of how many seconds; 0 hits: never."""

    hits: int = 10
    window_seconds: float = 300.0
    pause_seconds: float = 300.0


class Alone:
    """Hits that a process tells to itself alone, as one that is the only worker may."""

    def __init__(self) -> None:
        self._news: list[tuple[str, Hashable, datetime]] = []

    def tell(self, client: str, what: str, now: datetime) -> None:
        """Take up one floor hit."""
        self._news.append((client, what, now))

    def news(self) -> Iterable[tuple[str, Hashable, datetime]]:
        """Return the hits since the last time."""
        if not self._news:
            return ()
        news, self._news = self._news, []
        return news


@dataclass(slots=True)
class _Client:
    times: deque[datetime] = field(default_factory=deque)
    last: int = 0
    until: datetime | None = None


class Repeated:
    """Counts the floor hits of every client."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._window = timedelta(seconds=limit.window_seconds)
        self._pause = timedelta(seconds=limit.pause_seconds)
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def hit(self, client: str, what: Hashable, now: datetime) -> None:
        """Count one floor hit; the same `what` again (a browser asks in several steps) counts once."""
        if not self._limit.hits:
            return
        known = self._clients.setdefault(client, _Client())
        self._clients.move_to_end(client)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        mark = hash(what)
        if mark == known.last and known.times and now - known.times[-1] < self._window:
            return
        known.last = mark
        known.times.append(now)
        while known.times and now - known.times[0] > self._window:
            known.times.popleft()
        if len(known.times) >= self._limit.hits:
            known.times.clear()
            known.until = now + self._pause

    def paused(self, client: str, now: datetime) -> bool:
        """Tell whether this client is to wait."""
        known = self._clients.get(client)
        # A clock that was set back must not make a pause of minutes one of years.
        return (
            known is not None and known.until is not None and known.until - self._pause <= now < known.until
        )
