"""Whoever started this process, and learning that they have gone.

What lives only here: the end of standard input as that news. `run` holds the other end of each helper's; by
hand it is a terminal, and under a unit of its own there is nothing that could be waited for.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable


def watch_starter(gone: Callable[[], object]) -> Callable[[], None]:
    """Call `gone` when standard input ends; what is returned stops the waiting.

    Where it cannot be waited for (systemd gives /dev/null, some give nothing at all), signals alone end this
    process. Needs an event loop that runs.
    """
    loop = asyncio.get_running_loop()
    try:
        told = sys.stdin.fileno()
        loop.add_reader(told, lambda: _look(loop, told, gone))
    except (OSError, ValueError, AttributeError):  # /dev/null; closed; none at all
        return lambda: None
    return lambda: _stop(loop, told)


def _look(loop: asyncio.AbstractEventLoop, told: int, gone: Callable[[], object]) -> None:
    if not os.read(told, 4096):
        loop.remove_reader(told)
        gone()


def _stop(loop: asyncio.AbstractEventLoop, told: int) -> None:
    loop.remove_reader(told)
