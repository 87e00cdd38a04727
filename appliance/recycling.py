"""When a worker is replaced by a fresh one: by its age, and by the memory that it uses.

What lives only here: that rule, and how a worker's memory is measured. Nothing is known to leak; but what
runs for months on a small machine is not to depend on that.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Protocol

from appliance.gateway.options import Recycle
from appliance.supervisor import Serving

AGE, MEMORY = "age", "memory"

LOOK_SECONDS = 10.0
"""How often it is looked."""

AGAIN_SECONDS = 600.0
"""A younger worker is not replaced, however much memory it uses: it would be so for ever."""


class Workers(Protocol):
    """Who has the workers."""

    @property
    def serving(self) -> list[Serving]:
        """The workers that serve now."""

    def renew(self, place: int, why: str) -> None:
        """Replace the worker of a place."""


async def watch(workers: Workers, limits: Recycle) -> None:
    """Replace what is due, one at a time, for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for each in sorted(workers.serving, key=lambda one: one.since):
            if why := due(each, limits, time.monotonic(), megabytes(each.pid)):
                workers.renew(each.place, why)
                break  # the others wait for their turn: two at once would need the memory of both


def due(worker: Serving, limits: Recycle, now: float, used: float) -> str:
    """Return why a worker is to be replaced, or an empty text; `used` is in megabytes."""
    age = now - worker.since
    # Places start together; apart by a minute, they are not replaced together.
    if limits.hours and age > limits.hours * 3600 + 60 * worker.place:
        return AGE
    if limits.megabytes and used > limits.megabytes and age > AGAIN_SECONDS:
        return MEMORY
    return ""


def megabytes(pid: int) -> float:
    """Return how much memory of its own a process uses, in megabytes; 0 where it has gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(text.partition("RssAnon:")[2].split()[0]) / 1024
