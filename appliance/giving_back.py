"""Memory that the C library keeps goes back to the system.

What lives only here: when, and how that is asked for. Connections come and go in waves; what a wave has used
lies in holes between what stays, and the library keeps the holes for the next one. In half a million mixed
requests a worker gathered 25 MB of them, though what it used did not grow.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

EVERY_SECONDS = 60.0
"""How often. It takes a quarter of a millisecond a megabyte, and nothing when there is nothing to give."""


def trimmer() -> Callable[[int], int] | None:
    """Return the library's own way, malloc_trim(3), or None where it has none (musl).

    It takes how many bytes may stay at the end of the heap, and returns whether it gave any back.
    """
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


async def give_back() -> None:
    """Give back what is not used, for ever; returns at once where the library cannot."""
    trim = trimmer()
    while trim is not None:
        await asyncio.sleep(EVERY_SECONDS)
        trim(0)
