"""What waits to be sent: put in once, tried until it arrives, and what it says.

What lives only here: the rows of the outbox. A row's name follows from what it says and to whom, so that it
can be put in twice and is there once; the Message-ID follows from the name, so that a mail that was sent
and not marked (the keeper died between) is the same mail when it is sent again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from appliance.alerts.redact import (
    Alarm,
    Checkpoint,
    Confirmation,
    Message,
    Notice,
    Pulse,
    Ready,
    Trouble,
    What,
    plain,
)
from appliance.model.category import Severity

FAILED = """o.state IN ('refused', 'given up') AND CASE WHEN o.episode IS NULL
    THEN o.at > :now - 604800 AND NOT EXISTS (SELECT 1 FROM outbox l WHERE l.channel = o.channel
        AND l.address = o.address AND l.state = 'sent' AND l.sent >= o.at)
    ELSE EXISTS (SELECT 1 FROM episode e WHERE e.id = o.episode AND e.state = 'open') END"""
"""Which rows of the outbox `o` are somebody's business at :now: of a case that nobody has acknowledged, or of
no case, for a week, while nothing later was taken there. Nobody looks at what is always red."""

MAIL, SYSLOG, WEBHOOK = "mail", "syslog", "webhook"

BACKOFF = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0)
"""Seconds until the next try, the last one again and again."""

GIVE_UP = 3 * 86_400.0
"""After this the message is given up, and `alerts status` says so."""

TROUBLED = 4
"""After so many tries somebody is told by another way: some two minutes."""

MOST_REFUSALS = 10
"""A message that was refused so often, while others were taken, is refused for what it is."""

_CLOCK_JUMP = 2 * BACKOFF[-1]
"""A retry that lies further ahead than this was noted before the clock was put right."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one address, as it waits. `channel` is mail, syslog or webhook."""

    id: int
    name: str
    what: What
    channel: str
    address: str
    tries: int
    message: Message

    @property
    def digest(self) -> str:
        """What tells this message from every other, and shows nothing of it."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:32]


def add(
    db: sqlite3.Connection,
    name: str,
    what: What,
    to: tuple[str, str],
    at: float,
    *,
    episode: int | None = None,
    level: int = 0,
    body: dict[str, str | int] | None = None,
) -> bool:
    """Put one message in, to be sent at once; return False where it is there already.

    `to` is channel and address; `name` is told from others by what it says, and to whom.
    """
    done = db.execute(
        """INSERT OR IGNORE INTO outbox (name, what, episode, level, channel, address, body, at, retry, tries,
            state, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'waiting', '')""",
        (f"{name}|{to[0]}|{to[1]}", what.value, episode, level, *to, json.dumps(body or {}), at, at),
    )
    return bool(done.rowcount)


def due(
    db: sqlite3.Connection, now: float, base: str, limit: int = 500, damaged: list[int] | None = None
) -> list[Letter]:
    """Return what is to be sent now, oldest first; `base` comes before a case's reference, or is empty.

    A row of which no message can be made keeps none of the others back: its number is put into `damaged`.
    """
    found = db.execute(
        """SELECT o.id, o.name, o.what, o.channel, o.address, o.tries, o.level, o.body, o.at, o.episode,
            coalesce(e.title, '') FROM outbox o LEFT JOIN episode e ON e.id = o.episode
            WHERE o.state = 'waiting' AND (o.retry <= ? OR o.retry > ?) ORDER BY o.id LIMIT ?""",
        (now, now + _CLOCK_JUMP, limit),
    ).fetchall()
    letters = []
    for row in found:
        try:
            letters.append(_letter(row, base))
        except (KeyError, TypeError, ValueError):
            (damaged if damaged is not None else []).append(int(row[0]))
    return letters


def give_up(db: sqlite3.Connection, damaged: Iterable[int]) -> None:
    """Note that no message can be made of these rows: `alerts status` shows it, and their cases stay."""
    text = "this message is damaged on the disk; look at its case itself"
    db.executemany(
        "UPDATE outbox SET state = 'given up', error = ? WHERE id = ?", [(text, n) for n in damaged]
    )


def next_try(db: sqlite3.Connection) -> float | None:
    """Return when the next message is to be tried; None where nothing waits."""
    row = db.execute("SELECT min(retry) FROM outbox WHERE state = 'waiting'").fetchone()
    return None if row[0] is None else float(row[0])


def sent(db: sqlite3.Connection, letter: Letter, now: float) -> None:
    """Note that the other side took it; what only it may know is not kept."""
    db.execute(
        "UPDATE outbox SET state = 'sent', sent = ?, error = '', body = '{}' WHERE id = ?", (now, letter.id)
    )
    # This way works again: what waits for its next try need not, and of a case that is not closed what was
    # refused is tried again. A mailbox that is full, or a server set wrong for a day, says "never" as well.
    to = (letter.channel, letter.address)
    db.execute(
        "UPDATE outbox SET retry = ? WHERE state = 'waiting' AND channel = ? AND address = ? AND retry > ?",
        (now, *to, now),
    )
    db.execute(
        """UPDATE outbox SET state = 'waiting', retry = ? WHERE state = 'refused' AND tries < ? AND at > ?
            AND channel = ? AND address = ?
            AND episode IN (SELECT id FROM episode WHERE state != 'closed')""",
        (now, MOST_REFUSALS, now - GIVE_UP, *to),
    )


def failed(db: sqlite3.Connection, letter: Letter, error: str, now: float, *, final: bool) -> bool:
    """Note that it was not taken; return True when somebody must be told of that by another way.

    `final`: the other side will never take it. Else it is tried again after a while, each time a longer one.
    """
    at = db.execute("SELECT at FROM outbox WHERE id = ?", (letter.id,)).fetchone()[0]
    over = final or now - at > GIVE_UP
    pause = BACKOFF[min(letter.tries, len(BACKOFF) - 1)]
    state = "refused" if final else "given up" if over else "waiting"
    db.execute(
        "UPDATE outbox SET tries = tries + 1, state = ?, error = ?, retry = ? WHERE id = ?",
        (state, error[:300], now + pause, letter.id),
    )
    if not final:  # whatever else waits for this address would meet the same
        db.execute(
            """UPDATE outbox SET retry = ?
                WHERE state = 'waiting' AND channel = ? AND address = ? AND retry < ?""",
            (now + pause, letter.channel, letter.address, now + pause),
        )
    troubled = over or letter.tries + 1 == TROUBLED
    if troubled:
        # Nobody else waits for the time of the ladder when the first one cannot be reached.
        db.execute(
            """UPDATE duty SET due = min(due, ?) WHERE told = 1
                AND episode = (SELECT episode FROM outbox WHERE id = ?)""",
            (now, letter.id),
        )
    return troubled


def taken(db: sqlite3.Connection, what: What, since: float, until: float) -> list[tuple[str, int, int]]:
    """Return each test, or sign of life, of a span: its name, how many messages, and how many were taken."""
    found = dict[str, list[int]]()
    query = "SELECT name, state = 'sent' FROM outbox WHERE what = ? AND at >= ? AND at < ? ORDER BY at"
    for name, done in db.execute(query, (what.value, since, until)):
        counts = found.setdefault("|".join(str(name).split("|")[:2]), [0, 0])
        counts[0] += 1
        counts[1] += int(done)
    return [(name, count, done) for name, (count, done) in found.items()]


def case(episode: int) -> str:
    """Return the reference of an episode, as people say and type it."""
    return f"A-{episode:05}"


def _letter(row: tuple[Any, ...], base: str) -> Letter:
    number, name, what, channel, address, tries, level, body, at, episode, title = row
    values = json.loads(str(body))
    moment = datetime.fromtimestamp(float(at), UTC)
    kind = What(what)
    message: Message
    if kind is What.HEARTBEAT:
        message = Pulse(moment, values["episodes"], values["unacknowledged"], values["undelivered"])
    elif kind is What.CONFIRM:
        message = Confirmation(moment, values["token"], values["link"])
    elif kind is What.TROUBLE:
        message = Trouble(moment, values["channel"], values["waiting"])
    elif kind is What.ALARM:
        message = Alarm(moment, values["kind"], values["count"], bool(values["over"]))
    elif kind is What.CHECKPOINT:
        message = Checkpoint(moment, values["text"])
    elif kind is What.READY:
        message = Ready(moment, values["report"], values.get("link", ""))
    else:
        reference = case(int(episode or 0))
        theme = plain(str(title)) if episode is not None else "Test"
        message = Notice(kind, reference, Severity(int(level)), theme, moment, base and f"{base}{reference}")
    return Letter(int(number), str(name), kind, str(channel), str(address), int(tries), message)
