"""Finds the processes of a gateway that really runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_WORKER = "worker-"
"""What a worker's name begins with, as `ps -o comm` shows it."""


def workers_of(supervisor: int) -> list[int]:
    """Return the process ids of the workers that a gateway has now."""
    return [pid for pid in below(supervisor) if _name(pid).startswith(_WORKER)]


def below(pid: int) -> Iterator[int]:
    """Yield the process ids of everything that a process has started, and what those have started."""
    children: list[str] = []
    with contextlib.suppress(OSError):  # each thread has its own
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += (thread / "children").read_text(encoding="ascii").split()
    for child in map(int, children):
        yield child
        yield from below(child)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii")
    except OSError:  # it has ended meanwhile
        return ""
