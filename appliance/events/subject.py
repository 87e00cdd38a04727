"""One person in the log: everything that it keeps of them, and taking it out for good.

What lives only here: which rows are somebody's (by name, and the review requests of their own block pages),
and the order of an erasure. Seals are renewed before a row goes, each with a record in the audit, so that
what was erased on purpose does not look like what was tampered with, and nothing else can hide behind it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from appliance.events import rows
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.record import Record, Review
from appliance.events.schema import DAY, prepare
from appliance.events.seals import renew
from appliance.events.store import DATABASE, SPILL
from appliance.transactions import transaction

BATCH = 500
_MINE = "SELECT id FROM who WHERE name = ?"
_WHOSE = f"SELECT a.id FROM access a WHERE a.who IN ({_MINE}) AND (a.flagged = 0 OR ?) ORDER BY a.id"  # noqa: S608 - our own words
_REVIEWS = f"""SELECT r.reference, r.time, r.client, r."group", r.message FROM review r WHERE r.reference IN
    (SELECT a.reference FROM access a WHERE a.flagged = 1 AND a.who IN ({_MINE})) ORDER BY r.time"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Kept:
    """What the log keeps of somebody; `spilled` is True while flagged events wait outside the database."""

    reviews: list[Review]
    held_since: float | None
    spilled: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """What was taken out: accesses and review requests; `digest` is the SHA-256 of the accesses' numbers.

    `left` are entries that still bear the name: of flagged accesses that stay, or of yesterday and today.
    """

    accesses: int
    reviews: int
    left: int
    digest: str


def accesses(state: Path, name: str) -> Iterator[Record]:
    """Yield every access of `name`, as the log has it, oldest first; EventsError if it cannot be read."""
    query = f"{rows.SELECT} WHERE a.who IN ({_MINE}) ORDER BY a.time, a.id"
    try:
        with _opened(state, "ro") as db:
            yield from map(rows.read_row, db.execute(query, (name,)))
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error


def names(state: Path) -> set[str]:
    """Return every name that the log has; EventsError if it cannot be read."""
    try:
        with _opened(state, "ro") as db:
            return {str(name) for (name,) in db.execute("SELECT DISTINCT name FROM who WHERE name != ''")}
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error


def by_reference(state: Path, references: Iterable[str]) -> Iterator[Record]:
    """Yield the flagged accesses with these references; EventsError if the log cannot be read."""
    query = f"{rows.SELECT} WHERE a.flagged = 1 AND a.reference = ?"
    try:
        with _opened(state, "ro") as db:
            for reference in references:
                yield from map(rows.read_row, db.execute(query, (reference,)))
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error


def kept(state: Path, name: str) -> Kept:
    """Return what else the log keeps of `name`, and whether it is on hold; EventsError if unreadable."""
    try:
        with _opened(state, "ro") as db:
            reviews = [Review._make(row) for row in db.execute(_REVIEWS, (name,))]
            return Kept(reviews, _held(db, name), any((state / SPILL).glob("*.jsonl")))
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: cannot be read ({error})") from error


def erase(state: Path, name: str, kept_since: float, *, flagged: bool, by: str, at: float) -> Erased:
    """Take every access of `name` out of the log, flagged ones where `flagged`, and overwrite it.

    The bare name stays in the dictionaries of yesterday and today, which writers still use: whoever erases
    again two days later takes it out as well. `kept_since` is as in `seals.check_seals`. EventsError where it
    is on hold, where a seal does not fit what it seals, or the log refuses. Safe to be killed and done again.
    """
    digest, count, reviews = hashlib.sha256(), 0, 0
    try:
        prepare(state / DATABASE)
        with _opened(state, "rw") as db:
            db.execute("PRAGMA secure_delete = ON")
            numbers = _numbers(db, name, flagged=flagged)
            if flagged and numbers:
                renew(state, Trail(state), frozenset(numbers), kept_since, by=by, at=at)
            if flagged:
                reviews = _erase_reviews(db, name)
            while numbers:
                for start in range(0, len(numbers), BATCH):
                    _delete(db, name, numbers[start : start + BATCH])
                digest.update(b"".join(b"%d\n" % number for number in numbers))
                count += len(numbers)
                numbers = _numbers(db, name, flagged=flagged)  # what was written meanwhile
            with transaction(db):
                _not_held(db, name)
                # An entry is for flagged accesses or for ordinary ones: those that stay keep theirs.
                gone = "DELETE FROM who WHERE name = ? AND day < ? AND (flagged = 0 OR ?)"
                db.execute(gone, (name, int(at * 1000) // DAY - 1, flagged))
                recent = db.execute("SELECT count(*) FROM who WHERE name = ?", (name,)).fetchone()[0]
            db.execute("PRAGMA incremental_vacuum(2000)").fetchall()
    except sqlite3.Error as error:
        raise EventsError(f"{state / DATABASE}: could not be erased from ({error}); do it again") from error
    return Erased(count, reviews, int(recent), digest.hexdigest())


def _numbers(db: sqlite3.Connection, name: str, *, flagged: bool) -> list[int]:
    return [number for (number,) in db.execute(_WHOSE, (name, flagged))]


def _erase_reviews(db: sqlite3.Connection, name: str) -> int:
    with transaction(db):
        _not_held(db, name)
        mine = f"SELECT reference FROM access WHERE flagged = 1 AND who IN ({_MINE})"  # noqa: S608 - our own words
        return db.execute(f"DELETE FROM review WHERE reference IN ({mine})", (name,)).rowcount  # noqa: S608 - our own words


def _delete(db: sqlite3.Connection, name: str, numbers: list[int]) -> None:
    with transaction(db):
        _not_held(db, name)  # a hold that begins in the middle counts from that moment
        db.executemany("DELETE FROM access WHERE id = ?", [(number,) for number in numbers])


def _not_held(db: sqlite3.Connection, name: str) -> None:
    if _held(db, name) is not None:
        raise EventsError(f"{name!a} is on legal hold: nothing of them is erased until `people unfreeze`")


def _held(db: sqlite3.Connection, name: str) -> float | None:
    row = db.execute("SELECT at FROM held WHERE name = ?", (name,)).fetchone()
    return None if row is None else float(row[0]) / 1000


def _opened(state: Path, mode: str) -> closing[sqlite3.Connection]:
    path = state / DATABASE
    if not path.exists():
        raise EventsError(f"{path}: no event log there; has the gateway been started with this state folder?")
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return closing(sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None))
