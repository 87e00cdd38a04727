"""One person in the book of alerts: their cases, and taking out those that are closed.

What lives only here: which cases are somebody's. A case that is not closed is a matter that staff have in
hand: it stays, whoever asks, until it is closed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from appliance.alerts import cases
from appliance.alerts.cases import Case
from appliance.alerts.incidents import tasks


@dataclass(frozen=True, slots=True)
class Kept:
    """One case: the references of what was seen, the texts of its notes, its tasks; nobody else's name."""

    case: Case
    references: tuple[str, ...]
    notes: tuple[str, ...]
    tasks: tuple[str, ...] = ()


def _subject(name: str) -> str:
    return f"name {name}"


def names(db: sqlite3.Connection) -> set[str]:
    """Return every name that a case is about."""
    found = db.execute("SELECT DISTINCT subject FROM episode WHERE subject LIKE 'name %'")
    return {str(subject).removeprefix("name ") for (subject,) in found}


def kept(db: sqlite3.Connection, name: str) -> list[Kept]:
    """Return every case of `name`, as the log has it, oldest first."""
    return [
        Kept(
            case,
            tuple(reference for _, reference, _ in cases.hits(db, case.number)),
            tuple(text for _, _, text in cases.notes(db, case.number)),
            tuple(f"{one.title}: {one.state} {one.reason}".strip() for one in tasks(db, case.number)),
        )
        for case in cases.of_subject(db, _subject(name))
    ]


def erase(db: sqlite3.Connection, name: str) -> tuple[list[str], list[str]]:
    """Take the closed cases of `name` out; return the references of these, and of those that stay."""
    found = cases.of_subject(db, _subject(name))
    gone = [case for case in found if case.state == "closed" or not case.told]
    for case in gone:
        cases.remove(db, case.number)
    stay = [case.reference for case in found if case not in gone]
    for table in ("tally", "mute") if not stay else ():
        db.execute(f"DELETE FROM {table} WHERE subject = ?", (_subject(name),))  # noqa: S608 - our own tables
    return [case.reference for case in gone], stay
