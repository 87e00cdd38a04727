"""Finds a port for what really runs, and the processes of a gateway that does."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

_WORKER = "worker-"
"""What a worker's name begins with, as `ps -o comm` shows it."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of TCP that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


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
