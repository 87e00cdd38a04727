"""A case becomes an incident: who has it in hand, what is to be done by whom, to whom it is handed over.

What lives only here: the tasks. They are proposed by a row of the school's own table, and done by people;
what is held is not done before somebody who may has cleared it. Each function works within the caller's
transaction, so that of two people who do the same at once the second one is told what the first one did.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection

from appliance.alerts import outbox
from appliance.alerts.book import AlertsError
from appliance.alerts.cases import Case, find, kept, note
from appliance.alerts.ladder import Directory
from appliance.alerts.recipients import confirmed
from appliance.alerts.redact import What
from appliance.model.incident import Incident

OPEN, HELD, DONE, NOT_NEEDED = "open", "held", "done", "not needed"

HANDED_PATIENCE = 3_600.0
"""Seconds until others are told of a case that nobody acknowledged after it was handed over."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something that a person has to do. `number` counts within its case; `at` is when its state changed."""

    id: int
    number: int
    title: str
    help: str
    source: str
    state: str
    by: str
    at: datetime
    reason: str

    @property
    def over(self) -> bool:
        """True when nothing is to be done for it any more."""
        return self.state in (DONE, NOT_NEEDED)


def tasks(db: Connection, case: int) -> list[Task]:
    """Return the tasks of a case, in their order."""
    query = "SELECT id, title, help, source, state, by, at, reason FROM task WHERE episode = ? ORDER BY id"
    return [
        Task(number, place, title, help_, source, state, by, datetime.fromtimestamp(at, UTC), reason)
        for place, (number, title, help_, source, state, by, at, reason) in enumerate(
            db.execute(query, (case,)), 1
        )
    ]


def take(db: Connection, reference: str, by: str, now: float, row: Incident | None = None) -> Case:
    """Take a case in hand; with a `row` of the school's table, its steps become tasks, as they stand now.

    A second row adds what the first one had not. AlertsError where the case is closed.
    """
    found = _open(db, reference)
    db.execute(
        "UPDATE episode SET state = 'in hand', by = ?, holder = ? WHERE id = ?", (by, by, found.number)
    )
    db.execute("DELETE FROM duty WHERE episode = ?", (found.number,))
    if found.state != "in hand" or found.holder != by:
        note(db, reference, by, "taken in hand", now)
    if row is not None:
        _propose(db, found, row, by, now)
    return found


def _propose(db: Connection, found: Case, row: Incident, by: str, now: float) -> None:
    before = {step for (step,) in db.execute("SELECT step FROM task WHERE episode = ?", (found.number,))}
    for step in row.steps:
        if step.id not in before:
            state = HELD if step.held else OPEN
            values = (found.number, row.id, step.id, step.title, step.help, row.source, state, by, now)
            db.execute(
                """INSERT INTO task (episode, incident, step, title, help, source, state, by, at, reason)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')""",
                values,
            )
    source = f" ({row.source})" if row.source else ""
    note(db, found.reference, by, f"taken as: {row.title}{source}", now)


def done(db: Connection, reference: str, number: int, by: str, now: float) -> Task:
    """Note that a task was done; AlertsError where it is held, or over already."""
    return _settle(db, reference, number, by, DONE, "", now)


def not_needed(db: Connection, reference: str, number: int, by: str, reason: str, now: float) -> Task:
    """Note that a task is not done, and why; a held one as well."""
    if not reason.strip():
        raise AlertsError("say why it is not needed, for the record")
    return _settle(db, reference, number, by, NOT_NEEDED, reason, now)


def clear(db: Connection, reference: str, number: int, by: str, now: float) -> Task:
    """Let a held task be done. The caller has made sure that `by` may say so."""
    found, task = _task(db, reference, number)
    if task.state != HELD:
        raise AlertsError(f"task {number} of {found.reference} is not held: it is {task.state}")
    db.execute("UPDATE task SET state = ?, by = ?, at = ? WHERE id = ?", (OPEN, by, now, task.id))
    note(db, reference, by, f"may be done now: {task.title}", now)
    return task


def hand_over(
    db: Connection, reference: str, role: str, by: str, now: float, directory: Directory | None
) -> Case:
    """Give a case to a role, whose people are told; it is open until one of them acknowledges.

    `directory` is None where nobody is told of anything. AlertsError where nobody of the role can be told.
    """
    found = _open(db, reference)
    if directory is not None:
        known = confirmed(db)
        people = [address for address in directory.roles.get(role, ()) if address in known]
        if not people:
            raise AlertsError(
                f"nobody who is {role} has confirmed that alerts arrive; `appliance alerts status` says who"
            )
        level = int(found.severity)
        for address in people:
            name, to = f"handed|{found.number}|{role}|{now}", (outbox.MAIL, address)
            outbox.add(db, name, What.HANDED, to, now, episode=found.number, level=level)
    others = [one for one in readers(db, found.number) if one != role]
    db.execute("DELETE FROM duty WHERE episode = ?", (found.number,))
    if directory is not None and others:
        db.execute(
            """INSERT INTO duty (episode, rule, level, tell, step, told, patience, due)
                VALUES (?, '', ?, ?, 0, 1, ?, ?)""",
            (found.number, int(found.severity), " ".join(others), HANDED_PATIENCE, now + HANDED_PATIENCE),
        )
    db.execute("INSERT OR IGNORE INTO reader VALUES (?, ?)", (found.number, role))
    db.execute("UPDATE episode SET state = 'open', by = ?, holder = '' WHERE id = ?", (by, found.number))
    note(db, reference, by, f"handed over to {role}", now)
    return found


def readers(db: Connection, number: int) -> tuple[str, ...]:
    """Return the roles that a case is for; empty for one of an older release, which is for every role."""
    found = db.execute("SELECT role FROM reader WHERE episode = ? ORDER BY role", (number,))
    return tuple(role for (role,) in found)


def may_see(db: Connection, found: Case, roles: Collection[str], name: str) -> bool:
    """Return whether somebody with these roles may see a case; nobody may see one about themselves."""
    if found.subject.casefold() == f"name {name}".casefold():
        return False
    known = readers(db, found.number)
    return bool(roles) and (not known or not set(known).isdisjoint(roles))


def _settle(
    db: Connection, reference: str, number: int, by: str, state: str, reason: str, now: float
) -> Task:
    found, task = _task(db, reference, number)
    if task.over:
        raise AlertsError(f"task {number} of {found.reference} is {task.state} already, by {task.by}")
    if task.state == HELD and state == DONE:
        raise AlertsError(
            f"task {number} of {found.reference} is held until the safeguarding lead says that it may be done"
        )
    db.execute(
        "UPDATE task SET state = ?, by = ?, at = ?, reason = ? WHERE id = ?",
        (state, by, now, kept(reason), task.id),
    )
    note(db, reference, by, f"{state}: {task.title}{f' ({reason})' if reason else ''}", now)
    return task


def _task(db: Connection, reference: str, number: int) -> tuple[Case, Task]:
    found = _open(db, reference)
    for task in tasks(db, found.number):
        if task.number == number:
            return found, task
    raise AlertsError(f"{found.reference} has no task {number}; `appliance alerts show` lists them")


def _open(db: Connection, reference: str) -> Case:
    found = find(db, reference)
    if found.state == "closed":
        raise AlertsError(f"{found.reference} is closed already, by {found.by}")
    return found
