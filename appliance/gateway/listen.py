"""Where a worker listens, and how it says that it cannot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a worker listens; None for no such port.

    As an explicit proxy, for redirected connections, and as a proxy spoken to under encryption.
    """

    explicit: tuple[str, int] | None
    transparent: tuple[str, int] | None
    encrypted: tuple[str, int] | None = None


class WorkerError(RuntimeError):
    """The worker cannot run; the text says why."""
