"""What happens to one event, in order.

What lives only here: that order. The metrics and the log come as arguments; this file knows neither
Prometheus nor SQLite, and decides nothing.
"""

from __future__ import annotations

import logging
from typing import Protocol

from appliance.model.decision import Decision
from appliance.model.event import Access, ReviewRequest

_log = logging.getLogger(__name__)


class Log(Protocol):
    """Where events are kept: `events.EventStore` in the gateway."""

    async def commit(self, access: Access) -> None:
        """Return when `access` is safe; raise when it cannot be made safe."""

    def queue(self, access: Access) -> None:
        """Keep `access` soon; never wait."""

    async def review(self, request: ReviewRequest) -> None:
        """Return when `request` is safe; raise when it cannot be made safe."""


class Counts(Protocol):
    """Who counts: `metrics.Metrics` in the gateway. Gets no event, so it cannot show a person."""

    def request(self, decision: Decision) -> None:
        """Count one judged request."""

    def review(self) -> None:
        """Count one review request."""


class Recorder:
    """Takes each judged access from the gateway, before the client sees its outcome."""

    def __init__(self, store: Log, metrics: Counts) -> None:
        """Record into `store` and count in `metrics`."""
        self._store = store
        self._metrics = metrics

    async def record(self, access: Access) -> None:
        """Count and keep one access; return when the client may see the outcome.

        Raises whatever the log raises when a flagged access cannot be kept: the gateway then answers
        "closed", because what is not on record must not have happened.
        """
        # 1 Counted. Why here: first, so that the numbers also show a request whose record failed. A
        #   counter that breaks costs a number, never a record and never a lesson.
        self._count(access.decision)
        # 2 Kept. Why here: the caller waits for this and only then answers. What is flagged is on the
        #   disk by then (S-40, DFE-F8); everything else may come a moment later and holds nobody up.
        if access.decision.flagged:
            await self._store.commit(access)
        else:
            self._store.queue(access)

    def note(self, access: Access) -> None:
        """Count and keep one access that is not flagged; as `record`, but for callers that cannot wait."""
        self._count(access.decision)
        self._store.queue(access)

    def _count(self, decision: Decision) -> None:
        try:
            self._metrics.request(decision)
        except Exception:  # noqa: BLE001 - whatever broke, the record goes on
            _log.exception("a request was not counted")

    async def review(self, request: ReviewRequest) -> None:
        """Count and keep one review request; raises when it cannot be kept, so that the pupil is told."""
        # 1 Kept. Why here: before it is counted, because "received" is a promise to the pupil.
        await self._store.review(request)
        # 2 Counted. Why here: only what was received; a counter that breaks takes nothing back.
        try:
            self._metrics.review()
        except Exception:  # noqa: BLE001 - whatever broke, the request is kept already
            _log.exception("a review request was not counted")
