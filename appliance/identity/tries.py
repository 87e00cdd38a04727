"""Guessing: how many wrong passwords there may be, and how long one waits then (CY-2).

What lives only here: the arithmetic of the lock, and the failures it counts. At most `tries` wrong ones
within the window; then a pause, which doubles with each further lock of the same day. It counts for the
account and for the address apart, so that neither many accounts nor many devices make it easier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.identity.database import Database

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """`tries` within `window` seconds, then `pause` seconds and twice as long each time, to `longest`."""

    tries: int = 10
    window: float = 300.0
    pause: float = 300.0
    longest: float = 7200.0


def locked_until(failures: Iterable[float], limits: Limits) -> float:
    """Return until when failures at these moments (ascending) lock; 0.0 when they never did."""
    recent: list[float] = []
    until, locks = 0.0, 0
    for at in failures:
        recent = [moment for moment in recent if at - moment < limits.window]
        recent.append(at)
        if len(recent) >= limits.tries:
            until = at + min(limits.pause * 2**locks, limits.longest)
            locks, recent = locks + 1, []
    return until


class Tries:
    """Counts failures in the database, so that every process counts the same."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    def wait(self, subjects: Iterable[str], now: float) -> float:
        """Return for how many seconds nobody may try for any of `subjects`; 0.0 for none."""
        with self._database.reading() as db:
            query = "SELECT at FROM failure WHERE subject = ? AND at > ? ORDER BY at"
            untils = [
                locked_until((at for (at,) in db.execute(query, (subject, now - DAY))), self._limits)
                for subject in subjects
            ]
        return max(0.0, max(untils, default=0.0) - now)

    def failed(self, subjects: Iterable[str], now: float) -> None:
        """Count one failure for each of `subjects`."""
        with self._database.writing() as db:
            db.execute("DELETE FROM failure WHERE at < ?", (now - DAY,))
            db.executemany("INSERT INTO failure VALUES (?, ?)", [(subject, now) for subject in subjects])

    def forget(self, subject: str) -> None:
        """Forget the failures of one subject: it has shown who it is, or a technician unlocked it."""
        with self._database.reading() as db:
            # Mostly there are none, and a lesson that begins need not write to the disk for that.
            if db.execute("SELECT 1 FROM failure WHERE subject = ?", (subject,)).fetchone() is None:
                return
        with self._database.writing() as db:
            db.execute("DELETE FROM failure WHERE subject = ?", (subject,))
