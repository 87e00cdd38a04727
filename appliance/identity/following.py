"""Keeps one worker's Resolver on what the database says, several times a second.

What lives only here: the order of one look (what has expired, what has changed, whose hardware is where),
and that a database which cannot be read is told to the Resolver. Nothing of it stands in the way of a
request.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from appliance.identity.database import Database
from appliance.identity.leases import Lease
from appliance.identity.names import IdentityError
from appliance.identity.resolver import Lost, Registered, Resolver, believe
from appliance.identity.sessions import Sessions
from appliance.identity.snapshot import Snapshot, Watch, read
from appliance.identity.uses import HOLD, Use, Used, Uses

LOOK_SECONDS = 0.1
"""How often a worker looks: a freeze is in force well within a second."""

NEIGHBOUR_SECONDS = 1.0
USED_SECONDS = 20.0

LATE = 600.0
"""How much longer a device must be held by now, before all workers read anew until when it is."""

_log = logging.getLogger(__name__)


class Follower:
    """Follows the database for one Resolver; `cut` is told whose open connections must end."""

    def __init__(
        self,
        database: Database,
        resolver: Resolver,
        devices: Mapping[str, Registered],
        cut: Callable[[Lost], None],
        neighbours: Callable[[], dict[str, str]],
        leases: Callable[[], dict[str, Lease]] = dict,
        hold: float = HOLD,
    ) -> None:
        self._database = database
        self._resolver = resolver
        self._devices = devices
        self._cut = cut
        self._neighbours = neighbours
        self._ask_leases = leases
        self._leases: dict[str, Lease] = {}
        self._unread = False
        self._hold = hold
        self._watch = Watch(database)
        self._known = Snapshot()
        self._macs: dict[str, str] = {}
        self._asked = self._told = 0.0
        self._failing = False
        self._looking = asyncio.Lock()

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
        """Look once, and put in force what has changed; whoever asks meanwhile waits, and looks after that.

        To be let go on to its end: what is cancelled in the middle could have seen a change and lost it.
        """
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        lost = self._resolver.expired()
        try:
            moved = await self._ask_network()
            changed = self._watch.changed()
            if changed:
                before = self._known.stops.keys()
                known = None if self._failing else self._known
                reading = functools.partial(read, self._database, time.time(), self._hold, known)
                self._known = await asyncio.to_thread(reading)
                # What somebody used until they were stopped, a moment ago, is held as well.
                await self._tell_used(newly=self._known.stops.keys() - before)
            # What is over may have hidden what still holds: a sign-in behind a network log-in.
            if changed or moved or lost.addresses:
                table = believe(self._known, self._macs, self._devices, self._leases, time.time())
                lost = lost | self._resolver.use(self._known, table)
            await self._tell_used()
            self._failing = False
        except (sqlite3.Error, IdentityError) as error:
            self._watch.again()
            self._resolver.unreadable()
            if not self._failing:
                _log.error("who is signed in cannot be read; soon nobody is believed: %s", error)
            self._failing = True
        if lost:
            self._cut(lost)

    async def _ask_network(self) -> bool:
        now = time.monotonic()
        if now - self._asked < NEIGHBOUR_SECONDS:
            return False
        self._asked = now
        macs, leases = self._macs, self._leases
        with suppress(OSError):  # what was known of the hardware a moment ago still holds
            self._macs = self._neighbours()
        try:
            self._leases, self._unread = await asyncio.to_thread(self._ask_leases), False
        except OSError as error:
            # What was read of it counts until each lease ends; nothing new is believed.
            if not self._unread:
                _log.error("the DHCP leases cannot be read: %s", error)
            self._unread = True
        return macs != self._macs or leases != self._leases

    async def _tell_used(self, newly: Collection[str] = ()) -> None:
        now = time.monotonic()
        if now - self._told >= USED_SECONDS or newly:
            self._told = now
            if used := self._resolver.used():
                await asyncio.to_thread(self._write, used, newly, time.time())

    def _write(self, used: set[tuple[str, Use]], newly: Collection[str], now: float) -> None:
        if sessions := {use.session for _, use in used if use.session}:
            Sessions(self._database).used(sessions, now)
        rows = [
            Used(use.key, use.mac or self._macs.get(address, ""), address, use.way, now, now)
            for address, use in used
        ]
        held, late = dict[str, set[str]](), set[tuple[str, str]]()
        for each in self._known.held:
            held.setdefault(each.key, set()).add(each.device)
            if each.until < now + self._hold - LATE:
                late.add((each.key, each.device))
        stopped = {key: frozenset(held.get(key, ())) for key in self._known.stops.keys() - frozenset(newly)}
        changes = any(row.key in newly or (row.key, row.device) in late for row in rows)
        Uses(self._database).note(rows, stopped=stopped, changes=changes)
