"""Reports joined: figures of the log, cases, overrides and lists over one span; made when they are due.

What lives only here: where each figure comes from, and when a report is due. A report that is there is not
made again: its name says what it is of, and it is put in its place whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import time as time_now
from typing import NamedTuple

from appliance import assembly, granting
from appliance.alerts import cases as case_book
from appliance.alerts import ladder, outbox
from appliance.alerts.book import Book
from appliance.alerts.ladder import Directory
from appliance.alerts.redact import What
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.store import DATABASE as LOG
from appliance.events.sums import Sum, reviews, sums
from appliance.model.alerting import SELF_REPORT
from appliance.model.grant import State
from appliance.model.profile import Policy
from appliance.overrides.database import Database as Overrides
from appliance.owners import make_folder
from appliance.reports.bundle import write_new
from appliance.reports.figures import CaseFact, Facts, ListFact, Request, RuleFact, termly, weekly
from appliance.reports.options import DAYS, ReportSettings
from appliance.reports.page import page
from appliance.reports.paper import Paper
from appliance.reports.press import printed
from appliance.reports.trials import Sending, Trial, within
from appliance.settings import Settings

FOLDER = "reports"
WEEKLY, TERMLY = "weekly", "termly"
WEEKS = 8
"""Weeks that a weekly report compares with."""

LONGEST_TERM = 17 * 7
LATE = timedelta(days=7)
"""A report that could not be made in its time is made up to so much later, and then no more."""

_DAY = 86_400.0


class Due(NamedTuple):
    """One report that is to be made: which, of what span, and the roles that hear of it."""

    kind: str
    since: datetime
    until: datetime
    tell: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its files are called, without their ending."""
        return f"{self.kind}-{self.until:%Y-%m-%d}"


class Files(NamedTuple):
    """A report's files by their ending, and who made the PDF, in words."""

    data: Mapping[str, bytes]
    printer: str


class Made(NamedTuple):
    """A report that was made by itself: its PDF, and who made that, in words."""

    path: Path
    printer: str


def paper(settings: Settings, policy: Policy, kind: str, since: datetime, until: datetime) -> Paper:
    """Return the report of a span, aware moments both; EventsError, AlertsError or OverrideError."""
    weeks = WEEKS * 7 if kind == WEEKLY else (until - since).days
    facts = _facts(settings, policy, since, until, max(7, weeks))
    return weekly(facts) if kind == WEEKLY else termly(facts)


def files(made: Paper) -> Files:
    """Return a report as a page and as paper."""
    html = page(made)
    paper_made = printed(made, html)
    return Files({".html": html.encode(), ".pdf": paper_made.data}, paper_made.by)


def due(settings: ReportSettings, policy: Policy, set_id: str, now: datetime) -> Iterator[Due]:
    """Yield every report whose time has come within the last days, whether it is there or not."""
    local = now.astimezone(policy.sets[set_id].zone)
    if (week := settings.weekly) is not None:
        back = (local.weekday() - DAYS.index(week.day)) % 7
        for days in (back, back + 7):
            until = _at(local - timedelta(days=days), week.at)
            if timedelta(0) <= local - until < LATE:
                yield Due(WEEKLY, until - timedelta(days=7), until, week.tell)
    if (term := settings.termly) is not None:
        ends = sorted(term.days)
        for number, day in enumerate(ends):
            until = _at(datetime.combine(day, time(), local.tzinfo), term.at)
            if timedelta(0) <= local - until < LATE:
                first = until - timedelta(days=LONGEST_TERM)
                if number:
                    last = _at(datetime.combine(ends[number - 1], time(), local.tzinfo), term.at)
                    first = max(first, last)
                yield Due(TERMLY, first, until, term.tell)


def make_due(settings: Settings, policy: Policy, now: datetime) -> list[Made]:
    """Make what is due and not there, and tell those who are to know; OSError and the rooms' errors."""
    folder, made = settings.state / FOLDER, list[Made]()
    for one in due(settings.reports, policy, settings.school.set, now):
        last = folder / f"{one.name}.pdf"
        if last.exists() or not (settings.state / LOG).exists():
            continue
        make_folder(folder)
        ready = files(paper(settings, policy, one.kind, one.since, one.until))
        for ending, data in ready.data.items():
            new = folder / f".{one.name}{ending}.new"
            new.unlink(missing_ok=True)
            write_new(new, data)
            # The paper comes last: while it is not there, all of it is made again.
            new.replace(folder / f"{one.name}{ending}")
        made.append(Made(last, ready.printer))
        _tell(settings, one, now)
    _forget(settings, folder, now)
    return made


def _tell(settings: Settings, one: Due, now: datetime) -> None:
    book = Book(settings.state)
    if settings.alerts.deliver and book.path.exists():
        with book.writing() as db:
            ladder.ready(db, Directory(settings.alerts.roles), one.tell, one.name, now.timestamp())


def _forget(settings: Settings, folder: Path, now: datetime) -> None:
    # The weekly report shows small numbers: it is kept as long as the log itself. Governors' reports stay.
    keep = settings.retention.keep["time"].flagged_days * _DAY
    for path in folder.glob(f"{WEEKLY}-*"):
        if path.stat().st_mtime < now.timestamp() - keep:
            path.unlink()


def _at(day: datetime, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def _facts(settings: Settings, policy: Policy, since: datetime, until: datetime, days: int) -> Facts:
    state, chosen = settings.state, policy.sets[settings.school.set]
    first = until - timedelta(days=days)
    facts = Facts(
        settings.school.name, since, until, datetime.now(UTC),
        now=sums(state, since, until), before=sums(state, since - (until - since), since),
        weeks=dict(_weeks(state, first, until)), reviews=reviews(state, since, until),
        groups={name: profile.title for name, profile in chosen.profiles.items()},
        categories={one.id: (one.title, one.risk) for one in policy.categories.values()},
        two_people=settings.changes.approval == "two", lists=_lists(settings),
    )  # fmt: skip
    return _with_tests(_with_overrides(_with_cases(facts, settings), settings), settings)


def _weeks(state: Path, first: datetime, until: datetime) -> Iterator[tuple[str, list[Sum]]]:
    start = first
    while start < until:
        end = min(start + timedelta(days=7), until)
        yield f"{end:%d %b}", sums(state, start, end)
        start = end


def _with_cases(facts: Facts, settings: Settings) -> Facts:
    book = Book(settings.state)
    if not book.path.exists():
        return facts
    with book.reading() as db:
        rules = [
            RuleFact(one.rule, one.useful, one.useless, one.poor, one.useful + one.useless >= case_book.FEW)
            for one in case_book.precision(db)
        ]
        found = {
            which: [
                CaseFact(one.subject, one.title, one.theme == SELF_REPORT)
                for one in case_book.told_between(db, since, until)
            ]
            for which, since, until in (
                ("now", facts.since, facts.until),
                ("before", facts.since - (facts.until - facts.since), facts.since),
            )
        }
    return replace(facts, cases=found["now"], cases_before=found["before"], rules=rules)


def _with_overrides(facts: Facts, settings: Settings) -> Facts:
    database = Overrides(settings.state)
    if not database.path.exists():
        return facts
    store = granting.store(settings.state, asks=True)
    span = (facts.since.timestamp(), facts.until.timestamp())
    asked, granted = [], Counter[str]()
    for one in store.all(over=True, limit=100_000):
        if not span[0] <= one.asked_at < span[1]:
            continue
        steps = [step for step in store.steps(one.number) if step.state in (State.GRANTED, State.REFUSED)]
        opened = bool(steps) and steps[0].state is State.GRANTED
        if one.wish.review:
            asked.append(Request(steps[0].at - one.asked_at if steps else None, opened))
        if opened:
            granted[one.role or "without a role"] += 1
    return replace(facts, requests=asked, granted=granted)


def _with_tests(facts: Facts, settings: Settings) -> Facts:
    sent, signs, book = list[Sending](), list[Sending](), Book(settings.state)
    if book.path.exists():
        span = (facts.since.timestamp(), facts.until.timestamp())
        with book.reading() as db:
            sent = [Sending(*one) for one in outbox.taken(db, What.TEST, *span)]
            signs = [Sending(*one) for one in outbox.taken(db, What.HEARTBEAT, *span)]
    try:
        found = within(Trail(settings.state).entries(), facts.since, facts.until, sent)
    except (EventsError, OSError) as error:
        # The safeguarding team's week is no less needed because the audit is damaged; but it is told.
        found = [Trial(facts.until, "Records of tests", f"cannot be read: {error}", good=False)]
    return replace(facts, trials=found, signs=signs)


def _lists(settings: Settings) -> list[ListFact]:
    status = assembly.open_lists(settings).status()
    longest = settings.floor_max_age_hours / 24
    found = [
        ListFact(f"{one.title} (statutory)", one.entries, age, statutory=True, old=age > longest)
        for one in status.floor.lists
        if (age := (time_now() - one.dated) / _DAY) >= 0
    ]
    return found + [ListFact(one.title or one.id, one.entries, one.age / _DAY) for one in status.lists]
