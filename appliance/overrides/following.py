"""Keeps one process on what is granted: looks several times a second, and ends each grant to the second.

What lives only here: the two clocks. A grant ends by the clock on the wall, or when its time is used up by a
clock that nobody sets, whichever comes first; and what has ended here stays ended, whatever the wall says.
A database that cannot be read opens nothing for long. Nothing of it stands in the way of a request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from appliance.config.problems import InWordsError
from appliance.model.grant import Grant, State
from appliance.overrides.database import Database
from appliance.overrides.names import OverrideError
from appliance.overrides.store import Overrides
from appliance.overrides.written import Override

LOOK_SECONDS = 0.1
"""How often a worker looks: a grant is in force, or at its end, well within a second."""

PATIENCE = 10.0
"""Seconds for which grants still count when the database cannot be read any more."""

KEEP_SECONDS = 10.0
"""How often it is written down how much time grants have left: so much a crash can give them at most."""

RETIRE_SECONDS = 3600.0
"""How often it is looked what has been kept for long enough."""

SETTLE_SECONDS = 60.0
"""How often it is looked whether the audit names a step that a power cut or a full disk has undone."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clock on the wall in seconds since 1970, and one that only ever goes on."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


class Watch:
    """Looks whether the database has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._db: sqlite3.Connection | None = None
        self._seen: tuple[int, int] = (-1, -1)

    def changed(self) -> bool:
        """Return whether something changed for workers since the last time; sqlite3.Error if unreadable."""
        try:
            if self._db is None:
                self._db, self._seen = self._database.watching(), (-1, self._seen[1])
            version = int(self._db.execute("PRAGMA data_version").fetchone()[0])
            if version == self._seen[0]:
                return False
            generation = int(self._db.execute("SELECT number FROM generation").fetchone()[0])
        except sqlite3.Error:
            self.close()
            raise
        before, self._seen = self._seen[1], (version, generation)
        return generation != before

    def again(self) -> None:
        """Take the last change for unseen: it could not be read."""
        self._seen = (-1, -1)

    def close(self) -> None:
        """Let go of the database; the next question opens it again."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = None


class Follower:
    """Follows the database; `use` takes the grants when they change, and the numbers of those that ended."""

    def __init__(
        self,
        store: Overrides,
        watch: Watch,
        use: Callable[[tuple[Grant, ...], frozenset[int]], None],
        zone: ZoneInfo,
        clocks: Clocks | None = None,
    ) -> None:
        self._store = store
        self._watch = watch
        self._use = use
        self._zone = zone
        self._clocks = clocks or Clocks()
        self._known: dict[int, Override] = {}
        self._deadlines: dict[int, float] = {}
        self._over: set[int] = set()
        self._unwritten: set[int] = set()
        self._closes: float | None = None
        self._failing = False

    async def follow(self) -> None:
        """Look for ever."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the database; the next look opens it again."""
        self._watch.close()

    async def look(self) -> None:
        """Look once, and put in force what has changed. What has ended is ended before anything is read."""
        self._drop(self._ended())
        try:
            if self._watch.changed():
                self._take(await asyncio.to_thread(self._store.in_force))
            self._failing, self._closes = False, None
        except (sqlite3.Error, OverrideError) as error:
            self._watch.again()
            self._fail(error)
        if self._unwritten:
            await self._write()

    def left(self) -> dict[int, float]:
        """Return the seconds that each grant which has begun may still be in force; none or less: ended."""
        now = self._clocks.steady()
        left = {number: deadline - now for number, deadline in self._deadlines.items()}
        return left | dict.fromkeys(self._unwritten, 0.0)

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self._store.advance, self._clocks.wall(), self.left())
        except (OSError, InWordsError) as error:  # a full disk, a file that is locked, a damaged audit
            # Here it has ended all the same; whoever can write next says so to everybody.
            _log.warning("the end of an override could not be written down this time: %s", error)
        else:
            self._unwritten.clear()

    def _take(self, found: Iterable[Override]) -> None:
        before = set(self._known)
        self._known = {one.number: one for one in found if one.number not in self._over}
        now, steady = self._clocks.wall(), self._clocks.steady()
        for number, one in self._known.items():
            longest = one.wish.ends - max(now, one.wish.starts)
            # What has begun goes on running out, also where the clock now shows a time before its beginning.
            wait = max(0.0, one.wish.starts - now) if one.state is State.GRANTED else 0.0
            deadline = steady + wait + min(longest, longest if one.left is None else one.left)
            # Looked at again, it never gets longer, wherever the hands of the clock were put meanwhile.
            self._deadlines[number] = min(self._deadlines.get(number, deadline), deadline)
        self._deadlines = {number: self._deadlines[number] for number in self._known}
        gone = before - set(self._known)
        over = self._ended()
        for number in over:
            self._forget(number)
        self._tell(frozenset(gone) | over)

    def _ended(self) -> frozenset[int]:
        now, steady = self._clocks.wall(), self._clocks.steady()
        return frozenset(
            number
            for number, one in self._known.items()
            if one.wish.ends <= now or self._deadlines[number] <= steady
        )

    def _drop(self, over: frozenset[int]) -> None:
        if not over:
            return
        for number in over:
            self._forget(number)
        self._tell(over)

    def _forget(self, number: int) -> None:
        self._known.pop(number, None)
        self._deadlines.pop(number, None)
        self._over.add(number)
        self._unwritten.add(number)

    def _tell(self, ended: frozenset[int]) -> None:
        self._use(tuple(one.grant(words(one, self._zone)) for one in self._known.values()), ended)

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            _log.error("overrides cannot be read; soon nothing is open by one: %s", error)
        self._failing = True
        steady = self._clocks.steady()
        self._closes = self._closes or steady + PATIENCE
        if steady >= self._closes and self._known:
            # What was revoked meanwhile cannot be known: nothing is open by an override (fail closed).
            gone, self._known = frozenset(self._known), {}
            self._tell(gone)


class Keeper:
    """Does for all processes what one does: begins and ends what is due, and remembers the time left.

    What ended more than `keep_days` ago is forgotten.
    """

    def __init__(
        self, store: Overrides, follower: Follower, clocks: Clocks | None = None, keep_days: int = 395
    ) -> None:
        self._store = store
        self._keep_seconds = keep_days * 86_400.0
        self._retires = self._settles = -math.inf
        self._follower = follower
        self._clocks = clocks or Clocks()
        self._kept = self._clocks.steady()

    def close(self) -> None:
        """Let go of the database; the next look opens it again."""
        self._follower.close()

    async def look(self) -> None:
        """Look once; OverrideError or OSError where something could not be written this time."""
        await self._follower.look()
        left = self._follower.left()
        await asyncio.to_thread(self._store.advance, self._clocks.wall(), left)
        if self._clocks.steady() >= self._settles:
            self._settles = self._clocks.steady() + SETTLE_SECONDS
            await asyncio.to_thread(self._store.settle)
        running = {number: seconds for number, seconds in left.items() if seconds > 0}
        if running and self._clocks.steady() - self._kept >= KEEP_SECONDS:
            self._kept = self._clocks.steady()
            await asyncio.to_thread(self._store.keep_left, running)
        if self._clocks.steady() >= self._retires:
            self._retires = self._clocks.steady() + RETIRE_SECONDS
            now = self._clocks.wall()
            await asyncio.to_thread(self._store.retire, now - self._keep_seconds, now=now)


def words(override: Override, zone: ZoneInfo) -> str:
    """Return who opened it, for what, until when, as log, page and `explain` say it."""
    end = datetime.fromtimestamp(override.wish.ends, zone)
    return (
        f"Opened until {end:%Y-%m-%d %H:%M} by {override.granted_by} ({override.role}) for "
        f"{override.wish.subject}: {override.wish.reason}"
    )
