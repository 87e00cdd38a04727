"""Who is told: the confirmed people of a role, then those of the next while nobody acknowledges.

What lives only here: how a duty ("this episode is to be told") becomes messages. While nobody who may be told
is confirmed, the duty stays, and is told the moment somebody is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from sqlite3 import Connection

from appliance.alerts import outbox
from appliance.alerts.book import get, put
from appliance.alerts.recipients import confirmed
from appliance.alerts.redact import Checkpoint, What
from appliance.alerts.routing import LONGEST_WAIT

NOBODY = "nobody"
"""The trouble that there is somebody to be told of, and nobody who has confirmed."""

WITHOUT_ANYBODY = 30.0
"""Seconds until a duty is looked at again for which there is nobody yet."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Who can be told. `others` are the ways that have no role: (channel, address)."""

    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    technicians: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    alarms: tuple[tuple[str, str], ...] = ()
    """The ways that take technical alarms alone."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every mail address there is, each once."""
        found = [address for role in self.roles.values() for address in role]
        return tuple(dict.fromkeys([*found, *self.technicians]))


def tell(db: Connection, directory: Directory, now: float) -> int:
    """Turn every duty that is due into messages; return how many messages there are more."""
    known = confirmed(db)
    # A clock that was set back: nobody waits longer than a rule's own time from now on; and what lies further
    # ahead than any rule could put it is due.
    far = now + 8 * 86_400
    db.execute(
        "UPDATE duty SET due = ? + patience WHERE told = 1 AND due > ? + patience AND due <= ?",
        (now, now, far),
    )
    rows = db.execute(
        """SELECT id, episode, level, tell, step, told, patience FROM duty WHERE due <= ? OR due > ?
            OR (told = 0 AND due > ?) OR (told < 0 AND due > ?) ORDER BY id""",
        (now, far, now + LONGEST_WAIT.total_seconds(), now + WITHOUT_ANYBODY),
    ).fetchall()
    return sum(_tell(db, directory, known, row, now) for row in rows)


def drop(db: Connection) -> None:
    """Forget who was to be told: where nothing is delivered, nobody is told later either."""
    db.execute("DELETE FROM duty")


def _tell(
    db: Connection,
    directory: Directory,
    known: frozenset[str],
    row: tuple[int, int, int, str, int, int, float],
    now: float,
) -> int:
    duty, episode, level, roles, step, told, patience = row
    ladder = roles.split()
    what = What.ESCALATED if told > 0 else What.ALERT
    to = [] if told > 0 else list(directory.others)
    reached = -1
    for number in range(step, len(ladder)):
        people = [address for address in directory.roles.get(ladder[number], ()) if address in known]
        if people:
            to += [(outbox.MAIL, address) for address in people]
            reached = number
            break
    count = sum(
        outbox.add(db, f"{what}|{episode}|{level}", what, each, now, episode=episode, level=level)
        for each in to
    )
    db.execute("UPDATE episode SET told = coalesce(told, ?) WHERE id = ?", (now, episode))
    if reached < 0 and told <= 0:
        db.execute("UPDATE duty SET told = -1, due = ? WHERE id = ?", (now + WITHOUT_ANYBODY, duty))
        trouble(db, directory, NOBODY, now)
    elif 0 <= reached < len(ladder) - 1:
        db.execute(
            "UPDATE duty SET step = ?, told = 1, due = ? WHERE id = ?", (reached + 1, now + patience, duty)
        )
    else:
        db.execute("DELETE FROM duty WHERE id = ?", (duty,))
    return count


def heartbeat(db: Connection, directory: Directory, day: str, now: float) -> bool:
    """Put the sign of life of `day` in, once; return whether it was new."""
    if get(db, "heartbeat") == day:
        return False
    put(db, "heartbeat", day)
    episodes = db.execute("SELECT count(*) FROM episode WHERE level >= 0 AND last >= ?", (now - 86_400,))
    unanswered = db.execute("SELECT count(*) FROM episode WHERE level >= 0 AND state = 'open'")
    query = (
        f"SELECT count(*) FROM outbox o WHERE (o.state = 'waiting' OR {outbox.FAILED}) AND o.at < :now - 600"  # noqa: S608 - our own words
    )
    undelivered = db.execute(query, {"now": now})
    body: dict[str, str | int] = {
        "episodes": int(episodes.fetchone()[0]),
        "unacknowledged": int(unanswered.fetchone()[0]),
        "undelivered": int(undelivered.fetchone()[0]),
    }
    known = confirmed(db)
    to = [(outbox.MAIL, address) for address in directory.addresses if address in known]
    for each in (*to, *directory.others):
        outbox.add(db, f"heartbeat|{day}", What.HEARTBEAT, each, now, body=body)
    return True


def ready(db: Connection, directory: Directory, roles: Iterable[str], report: str, now: float) -> int:
    """Tell everybody of these roles who confirmed that a report is there, once; return how many messages."""
    known = confirmed(db)
    people = dict.fromkeys(address for role in roles for address in directory.roles.get(role, ()))
    body: dict[str, str | int] = {"report": report}
    return sum(
        outbox.add(db, f"ready|{report}", What.READY, (outbox.MAIL, address), now, body=body)
        for address in people
        if address in known
    )


def reported(db: Connection, address: str, number: int, now: float, link: str = "") -> bool:
    """Tell whoever granted override `number` that its report is there, once; return whether that is new.

    `link` is the page that shows it, empty where there is none. Nothing in it is about a person, so that the
    address need not be confirmed before.
    """
    body: dict[str, str | int] = {"report": f"override-{number}", "link": link}
    to = (outbox.MAIL, address)
    return outbox.add(db, f"ready|override-{number}", What.READY, to, now, body=body)


def checkpoint(db: Connection, to: Iterable[str], name: str, text: str, now: float) -> int:
    """Put a checkpoint of the audit in for governors, once; return how many mails there are more.

    `name` tells it from every other. ValueError for a text that is none. Nothing in it is about a person.
    """
    body: dict[str, str | int] = {"text": Checkpoint(datetime.fromtimestamp(now, UTC), text).text}
    return sum(
        outbox.add(db, f"checkpoint|{name}", What.CHECKPOINT, (outbox.MAIL, address), now, body=body)
        for address in to
    )


def trouble(db: Connection, directory: Directory, channel: str, now: float) -> None:
    """Tell of what cannot be delivered on `channel`, by every other way, at most once an hour.

    NOBODY is a channel as well, once a day: what waits is then each duty for which nobody has confirmed.
    """
    if channel == NOBODY:
        span, row = 86_400, db.execute("SELECT count(*) FROM duty WHERE told < 0").fetchone()
    else:
        which = f"o.channel = :channel AND (o.state = 'waiting' OR {outbox.FAILED})"
        query = f"SELECT count(*) FROM outbox o WHERE {which}"  # noqa: S608 - our own words
        span, row = 3_600, db.execute(query, {"now": now, "channel": channel}).fetchone()
    body: dict[str, str | int] = {"channel": channel, "waiting": int(row[0])}
    known = confirmed(db)
    people = [(outbox.MAIL, a) for a in directory.technicians if a in known]
    for each in (*people, *directory.others, *directory.alarms):
        if each[0] != channel:
            outbox.add(db, f"trouble|{channel}|{int(now // span)}", What.TROUBLE, each, now, body=body)


def announce(
    db: Connection, directory: Directory, to: Iterable[str], what: str, number: int, waiting: int, now: float
) -> None:
    """Tell of change notice `number`, once: the addresses `to`, and every way that leads to no mailbox.

    `what` is closed or returned; `waiting` is how many are to be looked at. Nothing in it is about a person,
    so that no address need be confirmed before.
    """
    body: dict[str, str | int] = {"channel": what, "waiting": waiting}
    people = [(outbox.MAIL, address) for address in to]
    for each in (*people, *directory.others, *directory.alarms):
        outbox.add(db, f"change|{number}", What.TROUBLE, each, now, body=body)


def test(db: Connection, directory: Directory, now: float) -> int:
    """Put a test to everybody in, confirmed or not; return how many."""
    to = [*((outbox.MAIL, address) for address in directory.addresses), *directory.others, *directory.alarms]
    return sum(outbox.add(db, test_name(now), What.TEST, each, now) for each in to)


def test_name(now: float) -> str:
    """Return what the messages of a test that began at `now` are found by."""
    return f"test|{now}"
