"""What staff do with an episode: look, acknowledge, note, close, and say whether it was of use.

What lives only here: the states of a case (open, acknowledged, in hand, closed), and how precise each rule is
by what staff said. What is to be done in a case is `incidents`'. Nothing is sanctioned and no parent is
told by the machine.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from appliance.alerts.book import AlertsError
from appliance.alerts.episodes import LONGEST_QUIET
from appliance.alerts.outbox import case
from appliance.model.category import Severity

FEW = 5
"""Rules with fewer answers than this are not judged yet."""

POOR = 0.5
"""A rule of whose alerts less than this were useful is named."""

LONGEST_NOTE = 4_000
"""Characters of one note, or of an outcome; what is longer is cut."""

_REFERENCE = re.compile(r"(?:A-?)?0*([1-9][0-9]{0,11})", re.IGNORECASE)


class NoCaseError(AlertsError):
    """There is no such case, or none for whoever asks: both are told in the same words."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"there is no case {reference!a}; `appliance alerts list --all` shows those there are"
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One episode as staff see it. `subject` and `group` say who: only shown on the gateway itself."""

    number: int
    subject: str
    theme: str
    title: str
    group: str
    severity: Severity
    told: bool
    count: int
    first: datetime
    last: datetime
    state: str
    by: str
    outcome: str
    useful: bool | None
    holder: str = ""

    @property
    def reference(self) -> str:
        """What it is called: A-00012."""
        return case(self.number)


@dataclass(frozen=True, slots=True)
class Precision:
    """What staff said of one rule's alerts."""

    rule: str
    useful: int
    useless: int

    @property
    def poor(self) -> bool:
        """True when most of its alerts were of no use, by enough answers."""
        total = self.useful + self.useless
        return total >= FEW and self.useful / total < POOR


_COLUMNS = (
    'id, subject, theme, title, "group", severity, level, count, first, last, state, by, outcome, useful, '
    "holder"
)


def cases(db: sqlite3.Connection, *, everything: bool = False, limit: int = 100) -> list[Case]:
    """Return the newest cases, oldest first: those not closed of which somebody was told, or `everything`."""
    which = "" if everything else "WHERE state != 'closed' AND level >= 0"
    found = db.execute(f"SELECT {_COLUMNS} FROM episode {which} ORDER BY id DESC LIMIT ?", (limit,))  # noqa: S608 - our own words
    return [_case(row) for row in reversed(found.fetchall())]


def told_between(db: sqlite3.Connection, since: datetime, until: datetime) -> list[Case]:
    """Return the cases that began in a span and of which somebody was told, oldest first."""
    query = f"SELECT {_COLUMNS} FROM episode WHERE level >= 0 AND first >= ? AND first < ? ORDER BY id"  # noqa: S608 - our own words
    return [_case(row) for row in db.execute(query, (since.timestamp(), until.timestamp()))]


def find(db: sqlite3.Connection, reference: str) -> Case:
    """Return the case with a reference as people type it; AlertsError where there is none."""
    number = _REFERENCE.fullmatch(reference.strip())
    row = None
    if number:
        found = db.execute(f"SELECT {_COLUMNS} FROM episode WHERE id = ?", (int(number[1]),))  # noqa: S608 - our own words
        row = found.fetchone()
    if row is None:
        raise NoCaseError(reference)
    return _case(row)


def hits(db: sqlite3.Connection, number: int) -> list[tuple[datetime, str, str]]:
    """Return time, log reference and category of what was seen, oldest first."""
    found = db.execute("SELECT at, reference, category FROM hit WHERE episode = ? ORDER BY at", (number,))
    return [(datetime.fromtimestamp(at, UTC), reference, category) for at, reference, category in found]


def about(subject: str) -> str:
    """Return who a case is about, in words, and never as a guess: what is only a device stays a device."""
    kind, _, name = subject.partition(" ")
    if kind == "name":
        return name
    if kind == "report":
        return "nobody: somebody told us on a page that something upset them"
    return f"{'the device' if kind == 'device' else 'a device at'} {name}: who used it is not known"


def rules(db: sqlite3.Connection, number: int) -> list[str]:
    """Return the rules by which a case was told."""
    return [
        name for (name,) in db.execute("SELECT rule FROM fired WHERE episode = ? ORDER BY rule", (number,))
    ]


def notes(db: sqlite3.Connection, number: int) -> list[tuple[datetime, str, str]]:
    """Return what was written down of a case: when, by whom, what."""
    found = db.execute("SELECT at, by, text FROM note WHERE episode = ? ORDER BY at", (number,))
    return [(datetime.fromtimestamp(at, UTC), by, text) for at, by, text in found]


def sent(db: sqlite3.Connection, number: int) -> list[tuple[datetime, str, str, str, str]]:
    """Return who was told of a case: when, why, by which way, how it went, what the other side said."""
    query = """SELECT coalesce(sent, at), what, CASE channel WHEN 'mail' THEN address ELSE channel END, state,
        error FROM outbox WHERE episode = ? ORDER BY id"""
    return [(datetime.fromtimestamp(at, UTC), *rest) for at, *rest in db.execute(query, (number,))]


def acknowledge(db: sqlite3.Connection, reference: str, by: str, now: float) -> Case:
    """Note that somebody looks after it: nobody else is called any more."""
    found = find(db, reference)
    if found.state == "closed":
        raise AlertsError(f"{found.reference} is closed already, by {found.by}")
    if found.state == "in hand":
        raise AlertsError(f"{found.reference} is in hand already, with {found.holder}")
    db.execute("UPDATE episode SET state = 'acknowledged', by = ? WHERE id = ?", (by, found.number))
    db.execute("DELETE FROM duty WHERE episode = ?", (found.number,))
    note(db, reference, by, "acknowledged", now)
    return found


def close(
    db: sqlite3.Connection, reference: str, by: str, outcome: str, now: float, *, quiet_until: float = 0.0
) -> Case:
    """End a case with its outcome; what comes after it is a new one.

    Until `quiet_until` nobody is told of the same theme of this person again, unless it is more severe.
    AlertsError where it is closed already, tasks of it are open, or that is further than LONGEST_QUIET.
    """
    found = find(db, reference)
    if found.state == "closed":
        raise AlertsError(f"{found.reference} is closed already, by {found.by}: {found.outcome}")
    if not outcome.strip():
        raise AlertsError("say what came of it, for the record")
    if quiet_until > now + LONGEST_QUIET:
        raise AlertsError(
            f"a theme is quiet for {LONGEST_QUIET / 604_800:.0f} weeks at most: who is in need again is heard"
        )
    query = "SELECT count(*) FROM task WHERE episode = ? AND state IN ('open', 'held')"
    if count := db.execute(query, (found.number,)).fetchone()[0]:
        raise AlertsError(
            f"{found.reference} has {count} open task{'s' if count > 1 else ''}: do each, or say why it is "
            "not needed; then close the case"
        )
    db.execute(
        "UPDATE episode SET state = 'closed', by = ?, outcome = ? WHERE id = ?",
        (by, kept(outcome), found.number),
    )
    db.execute("DELETE FROM duty WHERE episode = ?", (found.number,))
    if quiet_until > now:
        level = db.execute("SELECT level FROM episode WHERE id = ?", (found.number,)).fetchone()[0]
        values = (found.subject, found.theme, level, quiet_until)
        db.execute("INSERT OR REPLACE INTO mute (subject, theme, level, until) VALUES (?, ?, ?, ?)", values)
    note(db, reference, by, f"closed: {outcome}", now)
    return found


def note(db: sqlite3.Connection, reference: str, by: str, text: str, now: float) -> Case:
    """Write something down; nothing that was written is ever changed."""
    found = find(db, reference)
    if not text.strip():
        raise AlertsError("there is nothing to be written down")
    values = (found.number, now, by[:200], kept(text))
    db.execute("INSERT INTO note (episode, at, by, text) VALUES (?, ?, ?, ?)", values)
    return found


def kept(text: str, limit: int = LONGEST_NOTE) -> str:
    """Return what somebody wrote as text that any database takes: valid, without NUL, not too long."""
    return text.strip().encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:limit]


def judge(db: sqlite3.Connection, reference: str, *, useful: bool) -> Case:
    """Note whether it was good to be told; the last word counts."""
    found = find(db, reference)
    db.execute("UPDATE episode SET useful = ? WHERE id = ?", (int(useful), found.number))
    return found


def precision(db: sqlite3.Connection) -> list[Precision]:
    """Return what staff said of each rule, by rule."""
    query = """SELECT rule, total(useful), count(*) - total(useful)
        FROM fired JOIN episode e ON e.id = episode WHERE useful IS NOT NULL GROUP BY rule ORDER BY rule"""
    return [Precision(rule, int(good), int(bad)) for rule, good, bad in db.execute(query)]


def forget(db: sqlite3.Connection, now: float, keep: float, held: frozenset[str]) -> int:
    """Remove closed and old cases after `keep` seconds, and what is no longer needed; return how many cases.

    `held` are subjects on legal hold, of whom everything stays.
    """
    old = db.execute("SELECT id, subject FROM episode WHERE last < ?", (now - keep,)).fetchall()
    gone = [number for number, subject in old if subject not in held]
    for number in gone:
        remove(db, number)
    # No event comes twice after so long, and no rule counts further back.
    db.execute("DELETE FROM seen WHERE time < ?", (now - 30 * 86_400,))
    db.execute("DELETE FROM tally WHERE minute < ?", ((now - 8 * 86_400) // 60,))
    db.execute("DELETE FROM mute WHERE until < ?", (now,))
    db.execute(
        "DELETE FROM outbox WHERE state != 'waiting' AND episode IS NULL AND at < ?", (now - 90 * 86_400,)
    )
    return len(gone)


def of_subject(db: sqlite3.Connection, subject: str) -> list[Case]:
    """Return every case of one person or device, oldest first."""
    found = db.execute(f"SELECT {_COLUMNS} FROM episode WHERE subject = ? ORDER BY id", (subject,))  # noqa: S608 - our own words
    return [_case(row) for row in found.fetchall()]


def remove(db: sqlite3.Connection, number: int) -> None:
    """Take one case out, with everything that belongs to it."""
    for table in ("hit", "fired", "duty", "note", "outbox", "task", "reader"):
        db.execute(f"DELETE FROM {table} WHERE episode = ?", (number,))  # noqa: S608 - our own tables
    db.execute("DELETE FROM episode WHERE id = ?", (number,))


def _case(row: tuple[Any, ...]) -> Case:
    (
        number,
        subject,
        theme,
        title,
        group,
        severity,
        level,
        count,
        first,
        last,
        state,
        by,
        outcome,
        useful,
        holder,
    ) = row
    return Case(
        int(number),
        str(subject),
        str(theme),
        str(title),
        str(group),
        Severity(max(int(severity), int(level))),
        int(level) >= 0,
        int(count),
        datetime.fromtimestamp(float(first), UTC),
        datetime.fromtimestamp(float(last), UTC),
        str(state),
        str(by),
        str(outcome),
        None if useful is None else bool(useful),
        str(holder),
    )
