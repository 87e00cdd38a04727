"""The log of one process: flagged events at once and for certain, ordinary ones in batches.

What lives only here: the promise of `commit` (on the disk, or it raises) and the two ways that lead
there. Flagged: database, else spill file, else an error that makes the gateway answer "closed".
Ordinary: a bounded queue that never makes a request wait; what does not fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.events.errors import EventsError, NotRecordedError
from appliance.events.observer import Counters, Observer
from appliance.events.record import Entry, from_access, from_review
from appliance.events.schema import prepare
from appliance.events.spill import Claim, Spill
from appliance.events.turn import Turn
from appliance.events.writer import Writer
from appliance.model.event import Access, ReviewRequest

DATABASE = "events.sqlite3"
SPILL = "spill"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and how long; times in seconds.

    `pending` flagged and `queue` ordinary events wait in memory at most, `batch` go into one
    transaction, every `flush` seconds or sooner. A busy database is waited for during `patience`; but a
    flagged event, for which somebody waits, goes to the spill file after `urgent` already. After a
    failure the database is left alone for `pause`; then spilled events are taken in. Every `tidy`
    seconds those of other processes are, and the write-ahead log is moved into the database.
    """

    pending: int = 10_000
    queue: int = 20_000
    batch: int = 250
    flush: float = 0.5
    patience: float = 2.0
    urgent: float = 0.25
    pause: float = 1.0
    tidy: float = 10.0


class EventStore:
    """One process's way into the log; several processes may have one on the same folder."""

    def __init__(self, state: Path, observer: Observer | None = None, limits: Limits | None = None) -> None:
        """Prepare for the folder `state`; `open` is the way to get a store that works."""
        self._limits = limits or Limits()
        self._observer = observer or Counters()
        self._path = state / DATABASE
        self._spill = Spill(state / SPILL)
        self._turn = Turn(state / "events.turn")
        urgent = min(self._limits.patience, self._limits.urgent)
        self._flagged = Writer(self._path, durable=True, patience=urgent)
        self._ordinary = Writer(self._path, durable=False, patience=self._limits.patience)
        self._pending: list[tuple[Entry, asyncio.Future[None]]] = []
        self._queue: deque[Access] = deque()
        self._flushing = asyncio.Lock()
        self._spilling = asyncio.Lock()
        self._late: set[asyncio.Task[None]] = set()
        self._spilled = self._spilled_told = False
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._leave_alone_until = 0.0
        self._closed = False

    @classmethod
    async def open(cls, state: Path, observer: Observer | None = None, limits: Limits | None = None) -> Self:
        """Open the log in the folder `state`, made if missing.

        Raises EventsError for a log that is damaged or of a newer release, or a folder that cannot be
        written. A full disk or a busy database is no reason not to start: events are spilled then.
        """
        try:
            store = cls(state, observer, limits)
        except OSError as error:
            raise EventsError(f"{state}: the event log cannot be written there ({error.strerror})") from error
        try:
            await asyncio.to_thread(prepare, store._path)
        except (OSError, sqlite3.Error) as error:
            _log.warning("event log not ready yet, flagged events go to the spill file: %s", error)
        await store._take_in()
        store._ticking = asyncio.create_task(store._tick(), name="event log")
        return store

    async def commit(self, access: Access) -> None:
        """Return when `access` is on the disk; raise NotRecordedError when no place takes it.

        Callers at the same time share one transaction. A caller that is cancelled while it waits
        does not take its event back.
        """
        await self._keep(from_access(access))

    async def review(self, request: ReviewRequest) -> None:
        """Record a review request, with the same promise as `commit`."""
        await self._keep(from_review(request))

    def queue(self, access: Access) -> None:
        """Note an ordinary access; never waits. Raises ValueError for a flagged one: commit that."""
        if access.decision.flagged:
            raise ValueError("a flagged event is committed, not queued")
        if self._closed or len(self._queue) >= self._limits.queue:
            self._observer.events_dropped(1)
            return
        self._queue.append(access)
        if len(self._queue) >= self._limits.batch:
            self._wake.set()

    async def flush(self) -> None:
        """Write what the queue holds now, batch by batch; raise sqlite3.Error when the log refuses."""
        async with self._flushing:
            left = len(self._queue)
            while left > 0:
                batch = [self._queue.popleft() for _ in range(min(left, self._limits.batch))]
                left -= len(batch)
                try:
                    await self._ordinary.write([from_access(access) for access in batch])
                except BaseException:
                    self._queue.extendleft(reversed(batch))
                    raise
            self._observer.event_queue(len(self._queue))

    async def close(self) -> None:
        """Write everything that waits, then close. What cannot be written is spilled or counted."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        self._wake.set()
        if self._ticking is not None:
            await self._ticking
        if self._draining is not None:
            await self._draining
        try:
            await self.flush()
        except Exception:  # noqa: BLE001 - whatever it is, the rest must be closed
            _log.exception("event log closed with %d ordinary events unwritten", len(self._queue))
            self._observer.events_dropped(len(self._queue))
            self._queue.clear()
        if self._late:
            await asyncio.wait(set(self._late), timeout=self._limits.patience)
        self._spill.release()
        self._turn.give_up()
        await self._flagged.close()
        await self._ordinary.close()

    async def _keep(self, entry: Entry) -> None:
        if self._closed or len(self._pending) >= self._limits.pending:
            raise NotRecordedError("the event log is closed" if self._closed else "too many events wait")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((entry, done))
        if self._draining is None or self._draining.done():
            # A task of our own: it goes on when the caller is cancelled.
            self._draining = asyncio.create_task(self._drain(), name="event commit")
        await done

    async def _drain(self) -> None:
        while self._pending:
            batch = self._pending[: self._limits.batch]
            del self._pending[: len(batch)]
            failure: Exception | None
            try:
                failure = await self._store([entry for entry, _ in batch])
            except Exception as error:  # noqa: BLE001 - nobody may be left waiting
                failure = error
            for _, done in batch:
                if done.done():
                    continue
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(NotRecordedError(f"flagged event not recorded: {failure}"))

    async def _store(self, entries: Sequence[Entry]) -> Exception | None:
        """Write to the database, else to the spill file; return what went wrong when both refuse.

        Where the database is slow, both are tried, and the first that has the events on the disk counts:
        the intake of spilled events knows those that the database took late, and leaves them out.
        """
        started = time.monotonic()
        waiting: set[asyncio.Task[None]] = set()
        if started >= self._leave_alone_until and not self._late:
            write = self._begin(self._flagged.write(entries))
            await asyncio.wait({write}, timeout=self._limits.urgent)
            if write.done() and write.exception() is None:
                self._observer.event_commit(time.monotonic() - started)
                return None
            why = write.exception() if write.done() else f"it takes more than {self._limits.urgent:g} s"
            _log.warning("event log does not take flagged events, spilling them: %s", why)
            self._leave_alone_until = time.monotonic() + self._limits.pause
            waiting = set() if write.done() else {write}
        return await self._first(waiting | {self._begin(self._append(entries))})

    async def _first(self, waiting: set[asyncio.Task[None]]) -> Exception | None:
        """Return None as soon as one of the tasks has succeeded, or the last failure when none does."""
        failure: BaseException | None = None
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            failures = [task.exception() for task in done]
            if None in failures:
                return None
            failure = failures[-1]
        return failure if isinstance(failure, Exception) else RuntimeError("the log did not answer")

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        # A task of our own, which may outlast the wait for it; nobody else then hears how it ended.
        task = asyncio.create_task(work, name="event commit")
        self._late.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain of one that nobody awaited

    async def _append(self, entries: Sequence[Entry]) -> None:
        async with self._spilling:  # one thread at a time in the file
            await asyncio.to_thread(self._spill.append, entries)
        self._spilled = True
        self._observer.events_spilled(len(entries))

    async def _tick(self) -> None:
        next_tidy = time.monotonic() + self._limits.tidy
        while not self._closed:
            await _wait(self._wake, self._limits.flush)
            self._wake.clear()
            try:
                await self.flush()
                now = time.monotonic()
                if now >= next_tidy or (self._spilled and now >= self._leave_alone_until):
                    next_tidy = time.monotonic() + self._limits.tidy
                    await self._tidy()
            except Exception as error:  # noqa: BLE001 - the next round tries again, for as long as we run
                _log.warning("event log: %d ordinary events wait: %s", len(self._queue), error)
                self._observer.event_queue(len(self._queue))
                await _wait(self._stop, self._limits.pause)

    async def _tidy(self) -> None:
        if time.monotonic() >= self._leave_alone_until:
            await self._take_in()
        if self._turn.mine():
            await self._ordinary.checkpoint()

    async def _take_in(self) -> None:
        """Put the events of all spill files that nobody holds into the database."""
        if not self._late and (self._draining is None or self._draining.done()):
            self._spill.release()
            self._spilled = False
        for path in self._spill.waiting():
            claim = await asyncio.to_thread(self._spill.claim, path)
            if claim is not None and not await self._take(claim):
                return
        self._spill.keep_reserve()

    async def _take(self, claim: Claim) -> bool:
        try:
            if claim.entries:
                await self._flagged.write(claim.entries, spill=claim.name)
        except Exception as error:  # noqa: BLE001 - the file stays; the next round tries again
            # Once a round, not at each try: a backup may hold the database for minutes.
            level = logging.DEBUG if self._spilled_told else logging.WARNING
            _log.log(level, "spilled events wait in %s until the log takes them: %s", claim.name, error)
            self._spilled_told = True
            claim.leave()
            self._spilled = True
            self._leave_alone_until = time.monotonic() + self._limits.pause
            return False
        self._spilled_told = False
        if claim.unreadable:
            _log.error("%d unreadable lines of %s are kept beside it", claim.unreadable, claim.name)
        await asyncio.to_thread(claim.done)
        return True


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
