"""Sends what waits in the outbox, and notes how it went.

What lives only here: that order. One address gets one message at a time, several addresses theirs at once;
what hangs at one of them holds up nobody else. A message is marked as sent after the other side took it:
whatever dies between is sent again, under the same Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from appliance.alerts import outbox
from appliance.alerts.book import AlertsError, Book
from appliance.alerts.ladder import Directory, trouble
from appliance.alerts.outbox import Letter
from appliance.alerts.ways import RefusedError, Way, WayError

_AT_ONCE = 8
_LONGEST = 120.0
"""Seconds after which a way that says nothing has failed, whatever its own limits."""

_log = logging.getLogger(__name__)


class Counts(Protocol):
    """Who counts deliveries: the metrics. `channel` is mail, webhook or syslog."""

    def alert_sent(self, channel: str, seconds: float) -> None:
        """Count one message that was taken, `seconds` after it was put in."""

    def alert_failed(self, channel: str) -> None:
        """Count one try that failed."""


type Ways = Mapping[tuple[str, str], Way]
"""By channel and address; all mail goes by ("mail", "")."""


class Delivery:
    """Tries what is due; `base` is what a case's reference is put behind."""

    def __init__(
        self,
        book: Book,
        ways: Ways,
        directory: Directory,
        base: str,
        counts: Counts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._ways = ways
        self._directory = directory
        self._base = base
        self._counts = counts
        self._clock = clock
        self._busy: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def begin(self) -> int:
        """Begin to send what is due, to whom nothing is being sent; return how many are tried now."""
        letters = await asyncio.to_thread(self._due)
        waiting: dict[tuple[str, str], list[Letter]] = {}
        for letter in letters:
            waiting.setdefault((letter.channel, letter.address), []).append(letter)
        for to, theirs in waiting.items():
            if to not in self._busy:
                self._busy.add(to)
                task = asyncio.create_task(self._all(to, theirs), name="alert delivery")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return len(letters)

    async def settle(self) -> None:
        """Wait until nothing is being sent."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _due(self) -> list[Letter]:
        damaged: list[int] = []
        with self._book.reading() as db:
            found = outbox.due(db, self._clock(), self._base, damaged=damaged)
        if damaged:
            with self._book.writing() as db:
                outbox.give_up(db, damaged)
        return found

    async def _all(self, to: tuple[str, str], letters: Sequence[Letter]) -> None:
        try:
            async with self._room:
                for letter in letters:
                    if not await self._one(letter):
                        return  # the others wait for their own time: the way is broken
        except AlertsError as error:
            _log.error("what was sent could not be noted, and may be sent again: %s", error)
        finally:
            self._busy.discard(to)

    async def _one(self, letter: Letter) -> bool:
        way = self._ways.get((letter.channel, "" if letter.channel == outbox.MAIL else letter.address))
        try:
            if way is None:
                raise WayError("the settings name no such way any more")  # noqa: TRY301 - told like any other failure
            await asyncio.wait_for(way.send(letter), _LONGEST)
        except TimeoutError:
            await asyncio.to_thread(self._failed, letter, WayError("no answer in time"))
        except WayError as error:
            await asyncio.to_thread(self._failed, letter, error)
        except Exception as error:  # noqa: BLE001 - one message must not end the telling of all others
            _log.exception("an alert could not be sent by %s", letter.channel)
            await asyncio.to_thread(
                self._failed, letter, WayError(f"a fault of our own: {type(error).__name__}")
            )
        else:
            await asyncio.to_thread(self._sent, letter)
            return True
        return False

    def _sent(self, letter: Letter) -> None:
        now = self._clock()
        with self._book.writing() as db:
            outbox.sent(db, letter, now)
        self._counts.alert_sent(letter.channel, max(0.0, now - letter.message.at.timestamp()))

    def _failed(self, letter: Letter, error: WayError) -> None:
        now, final = self._clock(), isinstance(error, RefusedError)
        _log.warning("an alert was not delivered by %s: %s", letter.channel, error)
        with self._book.writing() as db:
            if outbox.failed(db, letter, str(error), now, final=final):
                trouble(db, self._directory, letter.channel, now)
        self._counts.alert_failed(letter.channel)
