"""What happens to a flagged event after it is on the disk, in order: seen, judged, kept, told.

What lives only here: that order, and the step from what the log keeps to what alerts may know of it. How far
was read, what became of it and who is to be told are one transaction.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.alerts import alarms, episodes, ladder
from appliance.alerts.book import Book, get, put
from appliance.alerts.episodes import Means
from appliance.alerts.ladder import Directory
from appliance.events.following import Following, Place, key_of
from appliance.events.record import Entry, Review
from appliance.model.alerting import SELF_REPORT, Sighting
from appliance.model.category import Severity

PLACE = "place"
PLACE_SECONDS = 60.0
FIRST_SECONDS = 3_600
"""A gateway that looks at its log for the first time begins so far back."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told, and whether anybody is."""

    directory: Directory
    deliver: bool


class Keeping:
    """One keeper's way from the event log to the book of alerts."""

    def __init__(
        self,
        following: Following,
        book: Book,
        means: Callable[[], Means],
        telling: Telling,
        upset: frozenset[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`upset` are the messages by which a page lets somebody say that something upset them."""
        self._following = following
        self._book = book
        self._means = means
        self._telling = telling
        self._upset = upset
        self._clock = clock
        self._place: Place | None = None
        self._written = 0.0

    async def look(self) -> bool:
        """Take one step along the log; return whether there is more. AlertsError, EventsError.

        What spilled is taken first: it is on the disk because the log is not to be had just now.
        """
        if spilled := await asyncio.to_thread(self._following.spilled):
            try:
                await asyncio.to_thread(self._keep, spilled, None)
            except BaseException:
                self._following.again()
                raise
        if self._place is None:
            self._place = await self._began()
        # 1 Seen. Why here: everything behind the place, each step small, so that a flood holds nobody up.
        news = await self._following.news(self._place)
        # 2 Judged, kept and noted to be told. Why together: a keeper that dies here has done all or nothing.
        #   Where nothing was flagged the place is written down once a minute: an SD card thanks us, and what
        #   is read again after a fault holds nothing new.
        if news.entries or self._clock() - self._written > PLACE_SECONDS:
            await asyncio.to_thread(self._keep, news.entries, news.place)
            self._written = self._clock()
        self._place = news.place
        return news.more

    async def tell(self) -> int:
        """Turn what is due into messages; return how many there are more. AlertsError."""
        return await asyncio.to_thread(self._tell)

    async def _began(self) -> Place:
        def kept() -> str:
            with self._book.reading() as db:
                return get(db, PLACE)

        if text := await asyncio.to_thread(kept):
            return Place.read(text)
        return await self._following.beginning(int((self._clock() - FIRST_SECONDS) * 1000))

    def _keep(self, entries: Iterable[Entry], place: Place | None) -> None:
        now = self._clock()
        seen = [sighting for entry in entries if (sighting := self.sighting(entry)) is not None]
        with self._book.writing() as db:
            # What the filter itself could not answer is nobody's case, and a technician's alarm.
            alarms.take(db, seen, now)
            episodes.take(db, seen, self._means(), datetime.fromtimestamp(now, UTC))
            if place is not None:
                put(db, PLACE, str(place))
            self._told(db, now)

    def _tell(self) -> int:
        with self._book.writing() as db:
            return self._told(db, self._clock())

    def _told(self, db: sqlite3.Connection, now: float) -> int:
        if self._telling.deliver:
            directory = self._telling.directory
            return ladder.tell(db, directory, now) + alarms.tell(db, directory, now)
        ladder.drop(db)  # nobody is to be told, not even later, when it is old
        alarms.drop(db, now)
        return 0

    def sighting(self, entry: Entry) -> Sighting | None:
        """Return what alerts may know of an event: no address, no host, no search term; None: nothing."""
        if isinstance(entry, Review):
            return self._report(entry) if entry.message.strip() in self._upset else None
        return Sighting(
            key=key_of(entry),
            at=entry.at,
            subject=_subject(entry.name, entry.device, entry.client),
            group=entry.group,
            category=entry.category,
            reason=entry.reason,
            severity=Severity(min(max(entry.severity, 0), Severity.CRITICAL)),
            reference=entry.reference,
        )

    def _report(self, review: Review) -> Sighting:
        # Of its own, and of nobody: whoever tells of something is not the one whom it is counted against.
        return Sighting(
            key=key_of(review),
            at=review.at,
            subject=f"report {review.reference}",
            group=review.group,
            category=SELF_REPORT,
            reason="",
            severity=Severity.MEDIUM,
            reference=review.reference,
            report=True,
        )


def _subject(name: str, device: str, client: str) -> str:
    if name:
        return f"name {name}"
    return f"device {device}" if device else f"address {client}"
