"""What happens when somebody works on a case, in order: may they, is it done, is it in the audit.

What lives only here: that order, the same for a page and for a command. What is done and its record in the
audit are one: where the record cannot be written, nothing is done, and nothing personal is shown. Nothing
here sanctions anybody, and nobody's parents are told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

from appliance.alerts import cases, incidents
from appliance.alerts.book import AlertsError, Book
from appliance.alerts.cases import Case, NoCaseError
from appliance.alerts.incidents import Task
from appliance.alerts.ladder import Directory
from appliance.config.problems import unknown
from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.events.queries import open_reader
from appliance.events.record import Record
from appliance.identity.database import Database
from appliance.identity.stops import STEPS, Stops
from appliance.model.alerting import SELF_REPORT
from appliance.model.incident import Incident
from appliance.model.profile import ProfileSet
from appliance.model.words import said
from appliance.transactions import noted, unsettled
from appliance.transactions import settle as settle_in

LONGEST_LOOK = 500
"""Log records shown of one person at once."""

_AROUND = timedelta(hours=1)
_STEPS = "alerts"
"""How the audit names the book that its records of cases are about."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works on a case. `roles` are those of alerts.yaml; None for whoever works on the gateway itself."""

    name: str
    roles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Everything of one case: what was seen when, who was told, what is to be done, what was written."""

    case: Case
    who: str
    hits: Sequence[tuple[datetime, str, str]]
    rules: Sequence[str]
    notes: Sequence[tuple[datetime, str, str]]
    sent: Sequence[tuple[datetime, str, str, str, str]]
    tasks: Sequence[Task]
    proposed: Sequence[Incident]
    others: Sequence[Incident]

    @property
    def named(self) -> str:
        """The name of the account that it is about; empty where there is only a device, or nobody."""
        kind, _, name = self.case.subject.partition(" ")
        return name if kind == "name" else ""


def settle(state: Path) -> None:
    """Note in the audit which steps in cases were rolled back and are not told yet; InWordsError, OSError."""
    book, steps = Book(state), Carried(Trail(state), _STEPS)
    with book.reading() as db:
        if not unsettled(db, steps):
            return
    settle_in(book.writing, steps)


class Handling:
    """The cases of one school, for the people who work on them."""

    def __init__(
        self,
        state: Path,
        chosen: Callable[[], ProfileSet],
        directory: Directory | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`chosen` is the school's set that is in force; `directory` is None where nobody is told."""
        self.book = Book(state)
        self.trail = Trail(state)
        self.stops = Stops(Database(state), Carried(self.trail, STEPS))
        self.state = state
        self._steps = Carried(self.trail, _STEPS)
        self._chosen = chosen
        self._directory = directory
        self._clock = clock

    def all(self, staff: Staff, *, everything: bool = False, limit: int = 100) -> list[Case]:
        """Return the newest cases that are for these people, oldest first; without looking into any."""
        with self.book.reading() as db:
            found = cases.cases(db, everything=everything, limit=limit)
            return [case for case in found if self._may(db, case, staff)]

    def find(self, staff: Staff, reference: str) -> Case:
        """Return one case, without looking into it; AlertsError where there is none for these people."""
        with self.book.reading() as db:
            return self._found(db, staff, reference)

    def look(self, staff: Staff, reference: str, purpose: str, **details: str) -> Look:
        """Return everything of one case; that it was looked at, and why, is in the audit before."""
        with self.book.reading() as db:
            case = self._found(db, staff, reference)
            self._note(staff, "alert-show", case, purpose=purpose, **details)
            return self._all(db, case)

    def again(self, staff: Staff, reference: str) -> Look:
        """Return the same for whoever has just looked, with a purpose that is in the audit already."""
        with self.book.reading() as db:
            return self._all(db, self._found(db, staff, reference))

    def acknowledge(self, staff: Staff, reference: str) -> Case:
        """Note that somebody looks after it: nobody else is called any more."""
        return self._do(staff, reference, "alert-ack", cases.acknowledge)

    def take(self, staff: Staff, reference: str, row: str = "") -> Case:
        """Take it in hand, as a row of the school's table where one is given; its tasks are for people."""
        rows = self._chosen().incidents.rows
        if row and row not in rows:
            raise AlertsError(unknown("incident", row, rows))

        def take(db: Connection, reference: str, by: str, now: float) -> Case:
            return incidents.take(db, reference, by, now, rows[row] if row else None)

        return self._do(staff, reference, "alert-take", take, incident=row)

    def note(self, staff: Staff, reference: str, text: str) -> Case:
        """Write something down; nothing that was written is ever changed."""
        return self._do(
            staff, reference, "alert-note", lambda db, ref, by, now: cases.note(db, ref, by, text, now)
        )

    def judge(self, staff: Staff, reference: str, *, useful: bool) -> Case:
        """Say whether it was good to be told."""
        return self._do(
            staff,
            reference,
            "alert-useful",
            lambda db, ref, _by, _now: cases.judge(db, ref, useful=useful),
            useful="yes" if useful else "no",
        )

    def hand_over(self, staff: Staff, reference: str, role: str) -> Case:
        """Give it to a role of alerts.yaml, whose people are told."""
        roles = self._chosen().alerts.roles
        if role not in roles:
            raise AlertsError(unknown("role", role, roles))

        def hand_over(db: Connection, reference: str, by: str, now: float) -> Case:
            return incidents.hand_over(db, reference, role, by, now, self._directory)

        return self._do(staff, reference, "alert-hand-over", hand_over, to=role)

    def done(self, staff: Staff, reference: str, task: int) -> Case:
        """Note that a task was done, by whoever says so."""
        return self._task(
            staff, reference, task, "done", lambda db, ref, by, now: incidents.done(db, ref, task, by, now)
        )

    def not_needed(self, staff: Staff, reference: str, task: int, reason: str) -> Case:
        """Note that a task is not done, and why."""
        return self._task(
            staff,
            reference,
            task,
            "not needed",
            lambda db, ref, by, now: incidents.not_needed(db, ref, task, by, reason, now),
        )

    def clear(self, staff: Staff, reference: str, task: int) -> Case:
        """Let a held task be done, such as telling parents; the safeguarding lead alone may say so."""
        if not self.clears(staff):
            raise AlertsError("only the safeguarding lead may say that this may be done")
        return self._task(
            staff,
            reference,
            task,
            "may be done",
            lambda db, ref, by, now: incidents.clear(db, ref, task, by, now),
        )

    def clears(self, staff: Staff) -> bool:
        """Return whether somebody may let a held task be done."""
        return staff.roles is None or not staff.roles.isdisjoint(self._chosen().incidents.clears)

    def close(self, staff: Staff, reference: str, outcome: str, *, quiet: timedelta | None = None) -> Case:
        """End it with its outcome; until `quiet` is over, the same is told to nobody unless it is worse."""

        def close(db: Connection, reference: str, by: str, now: float) -> Case:
            until = now + quiet.total_seconds() if quiet else 0.0
            return cases.close(db, reference, by, outcome, now, quiet_until=until)

        return self._do(staff, reference, "alert-close", close, outcome=outcome, quiet=str(quiet or ""))

    async def seen(self, look: Look) -> dict[str, Record]:
        """Return what the log has of a case, by reference; EventsError where it cannot be read.

        Nothing of a statutory list's hit is in the log but that it was one (ILL-1).
        """
        async with open_reader(self.state) as log:
            if look.named:
                found = await log.accesses(
                    since=look.case.first, flagged=True, person=look.named, limit=LONGEST_LOOK
                )
            else:
                found = [
                    each
                    for _, reference, _ in look.hits[:20]
                    for each in await log.accesses(since=look.case.first, reference=reference, limit=1)
                ]
        wanted = {reference for _, reference, _ in look.hits}
        return {record.reference: record for record in found if record.reference in wanted}

    async def log_of(self, staff: Staff, reference: str, purpose: str) -> tuple[Look, list[Record]]:
        """Return what the log has of the person from an hour before the case on; audited with its purpose."""
        look = self.again(staff, reference)
        if not look.named:
            raise AlertsError(f"{look.case.reference} names nobody whose log could be looked at")
        if not said(purpose):
            raise AlertsError("say why you look at this person's log; it is kept")
        since = look.case.first - _AROUND
        self.trail.add(
            "log-look-up",
            look.named,
            by=staff.name,
            at=self._clock(),
            purpose=purpose,
            since=since.isoformat(timespec="seconds"),
            case=look.case.reference,
        )
        async with open_reader(self.state) as log:
            return look, await log.accesses(since=since, person=look.named, limit=LONGEST_LOOK)

    def role_titles(self) -> dict[str, str]:
        """Return what the roles are called."""
        return dict(self._chosen().alerts.roles)

    def _task(
        self,
        staff: Staff,
        reference: str,
        task: int,
        what: str,
        act: Callable[[Connection, str, str, float], Task],
    ) -> Case:
        def both(db: Connection, reference: str, by: str, now: float) -> Case:
            act(db, reference, by, now)
            return cases.find(db, reference)

        return self._do(staff, reference, "alert-task", both, task=str(task), state=what)

    def _do(
        self,
        staff: Staff,
        reference: str,
        what: str,
        act: Callable[[Connection, str, str, float], Case],
        **details: str,
    ) -> Case:
        now = self._clock()
        if self.book.path.exists():
            self.book.prepare()  # of an older release, where the gateway was not started since
        with noted(self.book.writing, self._steps) as db:
            # 1 May they? Why here: within the transaction, so that nothing changes in between.
            found = self._found(db, staff, reference)
            # 2 Done. 3 In the audit. Why last: what could not be done must not stand there as done.
            act(db, found.reference, staff.name, now)
            self._steps.add(what, found.reference, by=staff.name, at=self._clock(), **details)
        return found

    def _note(self, staff: Staff, what: str, case: Case, **details: str) -> None:
        self.trail.add(what, case.reference, by=staff.name, at=self._clock(), **details)

    def _found(self, db: Connection, staff: Staff, reference: str) -> Case:
        case = cases.find(db, reference)
        if not self._may(db, case, staff):
            raise NoCaseError(reference)
        return case

    def _may(self, db: Connection, case: Case, staff: Staff) -> bool:
        if staff.roles is None:
            return True
        # What nobody was told of is the safeguarding lead's to look through, and nobody else's.
        return incidents.may_see(db, case, staff.roles, staff.name, untold=self.clears(staff))

    def _all(self, db: Connection, case: Case) -> Look:
        chosen = self._chosen()
        rules = cases.rules(db, case.number)
        adult = case.group in chosen.alerts.adults
        rows = chosen.incidents
        # Whoever tells us of something did nothing: no row is proposed (S-67).
        blameless = case.theme == SELF_REPORT
        proposed = () if blameless else rows.proposed(case.theme, frozenset(rules), adult=adult)
        others = [row for row in rows.rows.values() if row.about(adult=adult) and row not in proposed]
        return Look(
            case=case,
            who=cases.about(case.subject),
            hits=cases.hits(db, case.number),
            rules=rules,
            notes=cases.notes(db, case.number),
            sent=cases.sent(db, case.number),
            tasks=incidents.tasks(db, case.number),
            proposed=proposed,
            others=[] if blameless else others,
        )
