"""How alerts stand: what waits, what failed, who has not confirmed, how precise rules are, what is closed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.alerts import alarms
from appliance.alerts.alarms import Closed
from appliance.alerts.cases import Precision, precision
from appliance.alerts.ladder import Directory
from appliance.alerts.outbox import FAILED
from appliance.alerts.recipients import confirmed


@dataclass(frozen=True, slots=True)
class Stuck:
    """One way or address at which messages wait or failed, and what it said last."""

    channel: str
    address: str
    state: str
    count: int
    since: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How alerts stand now. `oldest` is in seconds."""

    waiting: int
    oldest: float
    undelivered: int
    without_recipient: int
    unacknowledged: int
    unconfirmed: tuple[str, ...]
    stuck: tuple[Stuck, ...]
    precision: tuple[Precision, ...]
    closed: tuple[Closed, ...] = ()

    @property
    def poor(self) -> tuple[str, ...]:
        """The rules of whose alerts most were of no use, by enough answers."""
        return tuple(
            f"{one.rule} ({one.useful} of {one.useful + one.useless} useful)"
            for one in self.precision
            if one.poor
        )

    @property
    def good(self) -> bool:
        """True when whoever is to be told can be told, and was."""
        return not (self.unconfirmed or self.stuck or self.without_recipient or self.closed)


def standing(db: sqlite3.Connection, directory: Directory, now: float) -> Standing:
    """Return how alerts stand at `now`."""
    known = confirmed(db)
    waiting, oldest = db.execute("SELECT count(*), min(at) FROM outbox WHERE state = 'waiting'").fetchone()
    query = f"SELECT count(*) FROM outbox o WHERE {FAILED}"  # noqa: S608 - our own words
    failed = db.execute(query, {"now": now}).fetchone()[0]
    nobody = db.execute("SELECT count(*) FROM duty WHERE told < 0").fetchone()[0]
    unanswered = db.execute("SELECT count(*) FROM episode WHERE level >= 0 AND state = 'open'").fetchone()[0]
    rows = db.execute(
        f"""SELECT channel, address, state, count(*), min(at), max(error) FROM outbox o
            WHERE {FAILED} OR (state = 'waiting' AND tries > 0)
            GROUP BY channel, address, state ORDER BY channel, address""",  # noqa: S608 - our own words
        {"now": now},
    )
    stuck = tuple(
        Stuck(channel, address, state, count, datetime.fromtimestamp(at, UTC), error)
        for channel, address, state, count, at, error in rows
    )
    return Standing(
        waiting=waiting,
        oldest=max(0.0, now - oldest) if oldest is not None else 0.0,
        undelivered=failed,
        without_recipient=nobody,
        unacknowledged=unanswered,
        unconfirmed=tuple(address for address in directory.addresses if address not in known),
        stuck=stuck,
        precision=tuple(precision(db)),
        closed=alarms.closed(db),
    )
