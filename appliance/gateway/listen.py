"""Where a worker listens, and how it says that it cannot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a worker listens: as an explicit proxy, and for redirected connections; None for neither."""

    explicit: tuple[str, int] | None
    transparent: tuple[str, int] | None


class WorkerError(RuntimeError):
    """The worker cannot run; the text says why."""
