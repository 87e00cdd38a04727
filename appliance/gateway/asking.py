"""How often one device may ask for a review.

What lives only here: that count. Whoever is over it is told so, instead of being thanked for what nobody
would read; another device is not held up by it.
"""

from __future__ import annotations

from collections import deque

MOST = 10
"""Review requests of one device within `WITHIN` seconds."""

WITHIN = 600.0
_DEVICES = 10_000
"""Devices that are remembered; the oldest are forgotten first."""


class Asking:
    """Counts the review requests of each device, in this worker."""

    def __init__(self) -> None:
        self._asked: dict[str, deque[float]] = {}

    def again(self, client: str, now: float) -> bool:
        """Count one request; False where the device has asked too often. `now` only ever goes on."""
        times = self._asked.pop(client, None) or deque[float]()
        while times and times[0] <= now - WITHIN:
            times.popleft()
        while len(self._asked) >= _DEVICES:
            del self._asked[next(iter(self._asked))]
        self._asked[client] = times
        if len(times) >= MOST:
            return False
        times.append(now)
        return True
