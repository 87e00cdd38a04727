"""A gate that closed: technicians are told once when it begins, and once when it is over.

What lives only here: when such an alarm begins and ends. What a fault of the filter or a statutory list
that is missing, broken or too old refuses is no case of a person; one mail for each request would hide it
from whoever can put it right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection

from appliance.alerts import outbox
from appliance.alerts.ladder import Directory
from appliance.alerts.recipients import confirmed
from appliance.alerts.redact import What
from appliance.model.alerting import Sighting
from appliance.model.decision import Reason

KINDS = {
    Reason.FLOOR_UNAVAILABLE.value: "floor",
    Reason.FAULT.value: "fault",
    Reason.DEADLINE.value: "deadline",
}
"""The kind of alarm that a reason belongs to."""

LEAST = {"deadline": 5}
"""After how many refusals a kind is told, where not after the first: one slow moment is no closed gate."""

QUIET = 600.0
"""Seconds without a refusal after which it is over."""

RECENT = 3_600.0
"""What was refused longer ago than this when it is read begins no alarm: it is no news."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate that is closed now: of which kind, since when, how often it refused."""

    kind: str
    since: datetime
    last: datetime
    count: int


def take(db: Connection, seen: Iterable[Sighting], now: float) -> None:
    """Note what was refused because the filter could not answer, before `episodes.take` knows of it."""
    for sighting in seen:
        kind, at = KINDS.get(sighting.reason), min(sighting.at.timestamp(), now)
        if kind is None or at < now - RECENT:
            continue
        if db.execute("SELECT 1 FROM seen WHERE key = ?", (sighting.key,)).fetchone():
            continue
        db.execute(
            """INSERT INTO alarm (kind, since, last, count, told) VALUES (?, ?, ?, 1, 0)
                ON CONFLICT DO UPDATE SET count = count + 1, last = max(last, excluded.last)""",
            (kind, at, at),
        )


def tell(db: Connection, directory: Directory, now: float) -> int:
    """Tell of what began and of what is over; return how many messages there are more.

    While nobody who may be told is confirmed, the beginning waits, also beyond its end.
    """
    count = 0
    to = _to(db, directory)
    for kind, since, last, refused, before in db.execute("SELECT * FROM alarm ORDER BY kind").fetchall():
        body: dict[str, str | int] = {"kind": kind, "count": refused, "over": 0}
        enough = refused >= LEAST.get(kind, 1)
        told = bool(before or (to and enough))
        if told and not before:
            count += _say(db, f"alarm|{kind}|{since}", to, since, body)
            db.execute("UPDATE alarm SET told = 1 WHERE kind = ?", (kind,))
        if (told or not enough) and not last <= now < last + QUIET:
            if told:
                count += _say(db, f"alarm-over|{kind}|{since}", to, last, body | {"over": 1})
            db.execute("DELETE FROM alarm WHERE kind = ?", (kind,))
    return count


def drop(db: Connection, now: float) -> None:
    """Forget what is over, where nobody is told of anything."""
    db.execute("DELETE FROM alarm WHERE last > ? OR last <= ?", (now, now - QUIET))


def closed(db: Connection) -> tuple[Closed, ...]:
    """Return what closes the gate now, or did and could not be told yet."""
    found = db.execute("SELECT kind, since, last, count FROM alarm ORDER BY since")
    return tuple(
        Closed(kind, datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(last, UTC), count)
        for kind, since, last, count in found
    )


def _to(db: Connection, directory: Directory) -> list[tuple[str, str]]:
    known = confirmed(db)
    people = [(outbox.MAIL, address) for address in directory.technicians if address in known]
    return [*people, *directory.others, *directory.alarms]


def _say(
    db: Connection, name: str, to: Iterable[tuple[str, str]], at: float, body: dict[str, str | int]
) -> int:
    return sum(outbox.add(db, name, What.ALARM, each, at, body=body) for each in to)
