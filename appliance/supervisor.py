"""Keeps the worker processes running.

What lives only here: starting, watching and ending processes. It knows nothing of what they do. A worker
that dies is started again at once, and within two seconds even if it keeps dying; meanwhile its
connections are refused, never answered unfiltered.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

logger = logging.getLogger(__name__)

READY = b"ready"
"""What a worker tells its supervisor once its ports are open."""

CANNOT_START = 2
"""Exit status of a worker that will not start, however often it is tried."""

_HINTS = {
    errno.EADDRINUSE: "another program uses this port; end it, or choose another in the configuration file",
    errno.EACCES: "ports below 1024 need the right to open them; choose another in the configuration file",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose another in the configuration file",
}
_RESTART_SECONDS = (0.0, 0.2, 0.5, 1.0)  # below two seconds, always
_STABLE_SECONDS = 10.0
_GRACE_SECONDS = 5.0


class Counters(Protocol):
    """What the supervisor tells the metrics."""

    def workers_running(self, count: int) -> None:
        """Take how many workers serve now."""

    def worker_up(self, place: int, *, up: bool) -> None:
        """Take whether the worker in `place` serves."""

    def worker_restarted(self) -> None:
        """Count a worker that died and is started again."""

    def worker_gone(self, pid: int) -> None:
        """Forget what the process `pid` said of itself."""


class Process(Protocol):
    """A worker process that was started."""

    pid: int

    async def ready(self) -> bool:
        """Wait until it serves; False when it ends instead."""

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit status."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    def close(self) -> None:
        """Let go of what belongs to a worker that has ended."""


class StartError(RuntimeError):
    """The workers cannot be started; the text says why and what to do."""


@dataclass(slots=True)
class _Slot:
    index: int
    pid: int = 0
    failures: int = 0
    started: float = 0.0
    serving: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs `count` processes, each from `start(place)`, until it is told to stop."""

    def __init__(self, start: Callable[[int], Awaitable[Process]], count: int, counters: Counters) -> None:
        self._start = start
        self._slots = [_Slot(index) for index in range(count)]
        self._counters = counters
        self._prepared = asyncio.Event()
        self._stopping = asyncio.Event()
        self._fatal = ""

    async def run(
        self,
        ready: Callable[[], None],
        *alongside: Callable[[], Awaitable[None]],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Serve until `stop`, or until a worker says that it cannot start (StartError).

        `prepare` makes what the workers need before they start; what it raises ends everything and is
        raised here. `ready` is called once all workers serve; the coroutines of `alongside` run meanwhile.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        keepers = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        others: list[asyncio.Task[None]] = []
        announce = asyncio.create_task(self._announce(ready))
        try:
            if prepare is not None:
                await asyncio.to_thread(prepare)
            self._prepared.set()
            others += [asyncio.create_task(go_on(start)) for start in alongside]
            await self._stopping.wait()
        finally:
            self.stop()
            for task in (*others, announce):
                task.cancel()
            await asyncio.gather(*keepers, *others, announce, return_exceptions=True)
        if self._fatal:
            raise StartError(self._fatal)

    def stop(self) -> None:
        """End all workers, then `run`."""
        self._stopping.set()

    async def _announce(self, ready: Callable[[], None]) -> None:
        await asyncio.gather(*(slot.ready.wait() for slot in self._slots))
        ready()

    async def _keep(self, slot: _Slot) -> None:
        await self._either(self._prepared.wait())
        while not self._stopping.is_set():
            slot.started = time.monotonic()
            try:
                process = await self._start(slot.index)
            except OSError as error:
                self._not_started(slot, error)
            else:
                slot.pid = process.pid
                status = await self._watch(slot, process)
                self._ended(slot, status)
                process.close()
            if not self._stopping.is_set():
                await self._pause(slot)

    async def _watch(self, slot: _Slot, process: Process) -> int:
        serving = asyncio.create_task(self._until_ready(slot, process))
        ended = asyncio.create_task(process.wait())
        await self._either(asyncio.shield(ended))
        if self._stopping.is_set():
            await _end(process, ended)
        status = await ended
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return status

    async def _either(self, awaited: Awaitable[object]) -> None:
        # Until what is awaited is there, or all is to stop.
        task, stopping = asyncio.ensure_future(awaited), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        stopping.cancel()

    def _not_started(self, slot: _Slot, error: OSError) -> None:
        text = f"worker {slot.index} could not be started ({error.strerror or error})"
        if slot.ready.is_set():
            logger.error("%s; it is tried again", text)  # no memory, no process numbers: that passes
        else:
            self._fatal = text
            self.stop()

    async def _until_ready(self, slot: _Slot, process: Process) -> None:
        if await process.ready():
            slot.serving = True
            slot.ready.set()
            self._tell(slot)

    def _ended(self, slot: _Slot, status: int) -> None:
        stopping = self._stopping.is_set()
        slot.serving = False
        _count(lambda: self._counters.worker_gone(slot.pid))
        self._tell(slot)
        if stopping:
            return
        if status == CANNOT_START and not slot.ready.is_set():
            self._fatal = f"worker {slot.index} could not start; its message stands above"
            self.stop()
            return
        _count(self._counters.worker_restarted)
        logger.error("worker %d ended (%s); starting it again", slot.index, _words(status))
        if time.monotonic() - slot.started > _STABLE_SECONDS:
            slot.failures = 0

    def _tell(self, slot: _Slot) -> None:
        _count(lambda: self._counters.worker_up(slot.index, up=slot.serving))
        _count(lambda: self._counters.workers_running(sum(each.serving for each in self._slots)))

    async def _pause(self, slot: _Slot) -> None:
        pause = _RESTART_SECONDS[min(slot.failures, len(_RESTART_SECONDS) - 1)]
        slot.failures += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause)


async def go_on(start: Callable[[], Awaitable[None]]) -> None:
    """Run what belongs beside the serving; a failure is told, and it is started again a second later."""
    while True:
        try:
            await start()
        except Exception:
            logger.exception("a task beside the serving failed; it is started again")
            await asyncio.sleep(_RESTART_SECONDS[-1])
        else:
            return


def _count(tell: Callable[[], None]) -> None:
    # A number that cannot be told must not leave a worker unwatched.
    try:
        tell()
    except Exception:
        logger.exception("a number could not be told to the metrics")


async def _end(process: Process, ended: asyncio.Task[int]) -> None:
    process.terminate()
    await asyncio.wait({ended}, timeout=_GRACE_SECONDS)
    if not ended.done():
        process.kill()


def _words(status: int) -> str:
    names = {number.value: number.name for number in signal.Signals}  # real-time signals have none
    return f"signal {names.get(-status, -status)}" if status < 0 else f"exit status {status}"


def claim_ports(addresses: Sequence[tuple[str, int]]) -> None:
    """Make sure that nobody listens on `addresses`; StartError names the first that is taken.

    Workers share their port among themselves (SO_REUSEPORT), so a second gateway of the same user
    would not be refused by the kernel, and would take half of the connections.
    """
    for host, port in addresses:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), port))
                probe.listen(1)
            except OSError as error:
                hint = _HINTS.get(error.errno or 0, "choose another address in the configuration file")
                raise StartError(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from error
