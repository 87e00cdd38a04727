"""Keeps the worker processes running.

What lives only here: starting, watching and ending processes. It knows nothing of what they do. A worker
that dies is started again at once, and within two seconds even if it keeps dying; meanwhile its
connections wait or are refused, never answered unfiltered. A worker that is to be renewed goes on serving
until the one that takes its place serves, and then finishes what it has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

logger = logging.getLogger(__name__)

LEAVE = signal.SIGUSR1
"""Tells a worker to let nobody in any more, and to end when nobody is left."""

READY = b"ready"
"""What a worker tells its supervisor once its ports are open."""

CANNOT_START = 2
"""Exit status of a worker that will not start, however often it is tried."""

_RESTART_SECONDS = (0.0, 0.2, 0.5, 1.0)  # below two seconds, always
_STABLE_SECONDS = 10.0
_GRACE_SECONDS = 5.0
_SUCCESSOR_SECONDS = 60.0


class Counters(Protocol):
    """What the supervisor tells the metrics."""

    def workers_running(self, count: int) -> None:
        """Take how many workers serve now."""

    def worker_up(self, place: int, *, up: bool) -> None:
        """Take whether the worker in `place` serves."""

    def worker_restarted(self) -> None:
        """Count a worker that died and is started again."""

    def worker_renewed(self, why: str) -> None:
        """Count a worker that another one has replaced while both served."""

    def worker_gone(self, pid: int) -> None:
        """Forget what the process `pid` said of itself."""


class Process(Protocol):
    """A worker process that was started."""

    pid: int

    async def ready(self) -> bool:
        """Wait until it serves; False when it ends instead."""

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit status."""

    def leave(self) -> None:
        """Ask it to let nobody in any more, and to end when nobody is left."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    def close(self) -> None:
        """Let go of what belongs to a worker that has ended."""


class StartError(RuntimeError):
    """The workers cannot be started; the text says why and what to do."""


@dataclass(slots=True, eq=False)
class _Run:
    """One process of a place."""

    process: Process
    ended: asyncio.Task[int]
    serves: asyncio.Task[bool]
    started: float


@dataclass(slots=True)
class _Slot:
    index: int
    pid: int = 0
    failures: int = 0
    started: float = 0.0
    serving: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    renew: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """A worker that serves: where, as which process, and since when (`time.monotonic`)."""

    place: int
    pid: int
    since: float


class Supervisor:
    """Runs `count` processes, each from `start(place)`, until it is told to stop.

    `gone(place)` is called when a place has nobody who serves and will not have for a while. A worker that
    leaves has `leave_seconds` for that.
    """

    def __init__(
        self,
        start: Callable[[int], Awaitable[Process]],
        count: int,
        counters: Counters,
        *,
        gone: Callable[[int], None] = lambda _place: None,
        leave_seconds: float = _GRACE_SECONDS,
    ) -> None:
        self._start = start
        self._slots = [_Slot(index) for index in range(count)]
        self._counters = counters
        self._gone = gone
        self._leave_seconds = leave_seconds
        self._prepared = asyncio.Event()
        self._stopping = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()
        self._pids: set[int] = set()
        self._starting = 0
        self._let_go = False
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
            for task in (*others, announce, *(keepers if self._let_go else ())):
                task.cancel()
            await asyncio.gather(*keepers, *others, announce, return_exceptions=True)
            if not self._let_go:
                await asyncio.gather(*self._leaving, return_exceptions=True)
        if self._fatal:
            raise StartError(self._fatal)

    def stop(self) -> None:
        """End all workers, then `run`."""
        self._stopping.set()

    def let_go(self) -> list[int]:
        """End `run` and leave the workers as they are, to whoever comes next; return their process ids."""
        self._let_go = True
        self._stopping.set()
        return sorted(self._pids)

    @property
    def settled(self) -> bool:
        """True while no process is being started, so that all of them are known."""
        return not self._starting and self._prepared.is_set()

    def renew(self, place: int, why: str) -> None:
        """Replace the worker of a place by a new one, which serves before the old one leaves."""
        self._slots[place].why = why
        self._slots[place].renew.set()

    @property
    def serving(self) -> list[Serving]:
        """The workers that serve now, but for those that leave."""
        return [Serving(each.index, each.pid, each.started) for each in self._slots if each.serving]

    async def _announce(self, ready: Callable[[], None]) -> None:
        await asyncio.gather(*(slot.ready.wait() for slot in self._slots))
        ready()

    async def _keep(self, slot: _Slot) -> None:
        await self._either(self._prepared.wait())
        successor: _Run | None = None
        while not self._stopping.is_set():
            slot.started = time.monotonic()
            try:
                run = successor or await self._begin(slot)
            except OSError as error:
                self._not_started(slot, error)
                successor = None
            else:
                slot.pid, slot.started = run.process.pid, run.started
                successor = await self._watch(slot, run)
            if successor is None and not self._stopping.is_set():
                await self._pause(slot)

    async def _begin(self, slot: _Slot) -> _Run:
        started = time.monotonic()
        self._starting += 1
        try:
            process = await self._start(slot.index)
        finally:
            self._starting -= 1
        self._pids.add(process.pid)
        ended, serves = asyncio.create_task(process.wait()), asyncio.create_task(process.ready())
        return _Run(process, ended, serves, started)

    async def _watch(self, slot: _Slot, run: _Run) -> _Run | None:
        # Until it has ended; or until another one serves in its place, which is returned then.
        serving = asyncio.create_task(self._until_ready(slot, run))
        slot.renew.clear()
        while not run.ended.done() and not self._stopping.is_set():
            await self._either(asyncio.shield(run.ended), slot.renew.wait())
            if slot.renew.is_set() and not self._stopping.is_set() and not run.ended.done():
                slot.renew.clear()
                successor = await self._successor(slot)
                if successor is not None:
                    serving.cancel()
                    self._dismiss(run)
                    _count(lambda: self._counters.worker_renewed(slot.why))
                    return successor
        await self._end(run)
        status = await run.ended
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        self._ended(slot, run, status)
        return None

    async def _successor(self, slot: _Slot) -> _Run | None:
        try:
            run = await self._begin(slot)
        except OSError as error:
            logger.error("worker %d could not be renewed (%s); the old one goes on", slot.index, error)  # noqa: TRY400 - it says all
            return None
        await self._either(asyncio.shield(run.serves), asyncio.sleep(_SUCCESSOR_SECONDS))
        if run.serves.done() and run.serves.result():
            logger.info("worker %d is renewed (%s)", slot.index, slot.why)
            return run
        await self._end(run)
        self._forget(run)
        if not self._stopping.is_set():
            logger.error("worker %d could not be renewed; the old one goes on", slot.index)
        return None

    def _dismiss(self, run: _Run) -> None:
        async def leave() -> None:
            run.process.leave()
            await self._either(asyncio.shield(run.ended), asyncio.sleep(self._leave_seconds + _GRACE_SECONDS))
            await self._end(run)
            self._forget(run)

        task = asyncio.create_task(leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _end(self, run: _Run) -> None:
        if self._let_go:
            await asyncio.Event().wait()  # it is somebody else's from here on; we are cancelled in a moment
        if not run.ended.done():
            run.process.terminate()
            await asyncio.wait({run.ended}, timeout=_GRACE_SECONDS)
        if not run.ended.done():
            run.process.kill()
        await run.ended

    def _forget(self, run: _Run) -> None:
        pid = run.process.pid
        self._pids.discard(pid)
        run.serves.cancel()
        _count(lambda: self._counters.worker_gone(pid))
        run.process.close()

    async def _either(self, *awaited: Awaitable[object]) -> None:
        # Until one of what is awaited is there, or all is to stop.
        tasks = [asyncio.ensure_future(each) for each in (*awaited, self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _not_started(self, slot: _Slot, error: OSError) -> None:
        text = f"worker {slot.index} could not be started ({error.strerror or error})"
        if slot.ready.is_set():
            logger.error("%s; it is tried again", text)  # no memory, no process numbers: that passes
        else:
            self._fatal = text
            self.stop()

    async def _until_ready(self, slot: _Slot, run: _Run) -> None:
        if await asyncio.shield(run.serves):
            slot.serving = True
            slot.ready.set()
            self._tell(slot)

    def _ended(self, slot: _Slot, run: _Run, status: int) -> None:
        stopping = self._stopping.is_set()
        slot.serving = False
        self._forget(run)
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
        if pause:
            self._gone(slot.index)
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


def _words(status: int) -> str:
    names = {number.value: number.name for number in signal.Signals}  # real-time signals have none
    return f"signal {names.get(-status, -status)}" if status < 0 else f"exit status {status}"
