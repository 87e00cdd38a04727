"""From one supervisor to the next: the program starts anew, and nobody at the door notices.

What lives only here: what goes from the old program to the new one in the same process (`exec`), which
keeps its number and its open sockets. The workers go on serving meanwhile; the new program starts its own,
of its own code and settings, on the same listening sockets, and sends the old ones away once its own serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import util
from multiprocessing.connection import Connection
from pathlib import Path

from appliance.supervisor import LEAVE

VARIABLE = "APPLIANCE_HANDED_OVER"
"""The variable of the environment in which the old program tells the new one."""

_GRACE_SECONDS = 10.0
_CHECK_SECONDS = 120.0
_TRIES = 30

logger = logging.getLogger(__name__)


class Alive:
    """Tells the workers that their supervisor is there: a pipe, whose other end closes with it."""

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        """Open it, or take over the two ends, to read and to write."""
        if ends is None:
            self.reading, self._writing = multiprocessing.Pipe(duplex=False)
        else:
            self.reading, self._writing = (
                Connection(ends[0], writable=False),
                Connection(ends[1], readable=False),
            )

    @property
    def ends(self) -> tuple[int, int]:
        """The descriptors, to read and to write."""
        return self.reading.fileno(), self._writing.fileno()

    def close(self) -> None:
        """Let the workers know that nobody is there any more."""
        self.reading.close()
        self._writing.close()


@dataclass(slots=True)
class Handed:
    """What one program leaves to the next."""

    alive: Alive = field(default_factory=Alive)
    sockets: list[socket.socket] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    """Helpers of the old program, which end by themselves; somebody has to take note of that."""
    again: bool = False
    """True where there was a program before."""


def received() -> Handed:
    """Return what the program before has left; where there was none, what a first one begins with."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return Handed()
    told = json.loads(
        text
    )  # of another version of this program, perhaps: only two of its parts must be there
    reading, writing = told["alive"]
    for descriptor in (reading, writing, *told["sockets"]):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the os module's own signature
    shutil.rmtree(told.get("folder", ""), ignore_errors=True)
    sockets = [socket.socket(fileno=descriptor) for descriptor in told["sockets"]]
    return Handed(
        Alive((reading, writing)), sockets, told.get("workers", []), told.get("children", []), again=True
    )


def start_again(handed: Handed) -> None:
    """Become the program anew, as it lies on the disk now; returns only by OSError."""
    descriptors = [*handed.alive.ends, *(each.fileno() for each in handed.sockets)]
    told = {
        "alive": handed.alive.ends,
        "sockets": [each.fileno() for each in handed.sockets],
        "workers": handed.workers,
        "children": _children(),
        # Where the process that forks workers listened; nobody else would tidy it up.
        "folder": util.get_temp_dir(),
    }
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - as above
    sys.stdout.flush()
    os.execve(  # noqa: S606 - our own command line, once more
        sys.executable,
        [sys.executable, *sys.orig_argv[1:]],
        os.environ | {VARIABLE: json.dumps(told)},
    )


async def see_off(handed: Handed, leave_seconds: float, gone: Callable[[int], None]) -> None:
    """Send away the workers of the program before: they finish what they have begun, in so many seconds.

    `gone(pid)` is called for each that has ended.
    """
    for pid in handed.workers:
        _tell(pid, LEAVE)
    await asyncio.gather(*(_see_off(pid, leave_seconds, gone) for pid in handed.workers))
    left = set(handed.children)
    for _ in range(_TRIES):  # what has ended and is not taken note of stays in the list of processes
        left -= {pid for pid in left if _taken_note_of(pid)}
        if not left:
            return
        await asyncio.sleep(1)


def _taken_note_of(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


async def _see_off(pid: int, leave_seconds: float, gone: Callable[[int], None]) -> None:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            await _until_ended(handle, leave_seconds + _GRACE_SECONDS)
        finally:
            os.close(handle)
    gone(pid)


async def _until_ended(handle: int, seconds: float) -> None:
    if await _ended(handle, seconds):
        return
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    if not await _ended(handle, _GRACE_SECONDS):
        signal.pidfd_send_signal(handle, signal.SIGKILL)


async def _ended(handle: int, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(handle, told.set)
    try:
        async with asyncio.timeout(seconds):
            await told.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
    return True


def _tell(pid: int, number: signal.Signals) -> None:
    # Its number may be somebody else's by now; a worker is known by its name.
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").startswith("worker-"):
            os.kill(pid, number)


def _children() -> list[int]:
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += map(int, (thread / "children").read_text(encoding="ascii").split())
    return found


async def sound(command: Sequence[str]) -> bool:
    """Tell whether `command`, which checks the files as the new program would read them, finds nothing."""
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            if await process.wait() == 0:
                return True
    except TimeoutError:
        process.kill()
        await process.wait()
    logger.error("not taken up: everything goes on as before, until what stands above is put right")
    return False
