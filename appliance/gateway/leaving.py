"""A worker that leaves: it lets nobody in any more, and goes when nobody is left.

What lives only here: in which order the connections of a worker end that another one has replaced. Whoever
waits outside is let in by the other, which has the same listening sockets. Whoever is in finishes: a
request is answered, and then its connection ends; one on which nothing is under way ends at once; what
passes unread, and downloads, go on until they end by themselves. For those that never do there is a limit.
"""

from __future__ import annotations

import asyncio
import time

from appliance.gateway.door import Doors
from appliance.gateway.handler import Handler
from appliance.gateway.pressure import LEAVING

QUIET_SECONDS = 2.0
"""A connection on which nothing is under way, and nothing came for so long, is closed."""

LOOK_SECONDS = 0.1
"""How often it is looked who is left."""


async def leave(doors: Doors, seconds: float) -> int:
    """Let nobody in any more, and return once nobody is left, or after `seconds`.

    Returned is how many connections are left then; they end with the worker.
    """
    doors.leaving = True
    setattr(doors.fixed_options(), LEAVING, True)
    waiting = doors.passage.waiting if doors.passage is not None else []
    for door in waiting:
        door.shut()
    end = time.monotonic() + seconds
    quiet = time.monotonic() + QUIET_SECONDS
    sent: set[Handler] = set()
    while (left := inside(doors)) and time.monotonic() < end:
        await asyncio.sleep(LOOK_SECONDS)
        if time.monotonic() >= quiet:
            for door in waiting:
                door.dismiss()
        for handler in doors.handlers:
            if handler not in sent and handler.idle(QUIET_SECONDS):
                sent.add(handler)
                handler.cut()
    return left


def inside(doors: Doors) -> int:
    """Return how many connections this worker carries."""
    passage = doors.passage
    unread = len(passage) + sum(len(door) for door in passage.waiting) if passage is not None else 0
    return len(doors.connections) + unread
