"""A made-up term of a school: ordinary weeks with slips, and serious matters planted among them.

The same seed makes the same term. What is planted is known, so that a test can say what was missed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.alerts import episodes, ladder
from appliance.alerts.book import Book
from appliance.alerts.episodes import Means
from appliance.events.following import Following
from appliance.events.record import Record, from_access
from appliance.keeping import Keeping, Telling
from appliance.model.decision import Action, Decision, Reason
from appliance.model.event import Access
from appliance.model.person import Confidence, Person
from appliance.model.profile import Policy, ProfileSet
from appliance.policy.schedule import within
from tests.doubles.alerts import DIRECTORY, book

FIRST_DAY = datetime(2026, 9, 7, tzinfo=UTC)
GROUPS = ("ks1", "ks2", "ks2", "ks2")
SLIPS = {
    "games_noneducational": 35, "social_media": 30, "shopping": 20, "gambling": 8, "filter_bypass": 4,
    "alcohol_tobacco": 2, "drugs": 1,
}  # fmt: skip
"""What pupils stumble into, of 100 slips: most of it is of no concern, some of it is seen once. Made up."""

SLIPS_A_WEEK = 1.5
"""Flagged accesses of one pupil in a week that mean nothing."""

ENOUGH = {"gambling": 3, "personal_data": 3, "filter_bypass": 3}
"""Themes that are told after so many visits within an hour; all others after one."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One serious matter: whose, and which theme it must be told under."""

    subject: str
    theme: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Term:
    """One term: its flagged accesses in the order of time, and what was planted."""

    records: list[Record]
    planted: list[Planted]
    pupils: int
    weeks: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a term: themes that nobody was told of, and how many alerts there were."""

    missed: list[Planted]
    alerts: int
    cases: int
    per_100_a_week: float


def pupil(number: int) -> Person:
    """Return one pupil out of many."""
    return Person(GROUPS[number % len(GROUPS)], "signed in", Confidence.CERTAIN, f"pupil.{number:03}", "")


def make(policy: Policy, chosen: ProfileSet, *, pupils: int, weeks: int, each: int, seed: int = 7) -> Term:
    """Return a term in which every theme of the rules is planted `each` times."""
    dice, found, planted = random.Random(seed), list[Record](), list[Planted]()
    for number in range(pupils):
        for week in range(weeks):
            for _ in range(_about(dice, SLIPS_A_WEEK)):
                at = _moment(dice, week)
                found.append(
                    _record(
                        policy,
                        pupil(number),
                        dice.choices(list(SLIPS), list(SLIPS.values()))[0],
                        at,
                        len(found),
                    )
                )
    for theme in chosen.alerts.themes.values():
        for _ in range(each if theme.categories else 0):
            person, at = pupil(dice.randrange(pupils)), _moment(dice, dice.randrange(weeks))
            category = dice.choice(sorted(theme.categories))
            planted.append(Planted(f"name {person.name}", theme.id, at))
            for again in range(ENOUGH.get(theme.id, 1)):
                moment = at + timedelta(minutes=again * 7)
                found.append(_record(policy, person, category, moment, len(found)))
    found.sort(key=lambda record: record.time)
    return Term(found, planted, pupils, weeks)


def live(term: Term, chosen: ProfileSet, state: Path) -> Outcome:
    """Let the real code of alerts live through a term, hour by hour, and say what became of it."""
    made, means = book(state, "dsl@school.example", "head@school.example"), Means(chosen.alerts, within)
    keeping = Keeping(Following(state), made, lambda: means, Telling(DIRECTORY, deliver=True), frozenset())
    now = FIRST_DAY
    for hour in _hours(term.records):
        now = hour[-1].at
        with made.writing() as db:
            episodes.take(db, filter(None, map(keeping.sighting, hour)), means, now)
            ladder.tell(db, DIRECTORY, now.timestamp())
    with made.writing() as db:
        ladder.tell(db, DIRECTORY, (now + timedelta(days=4)).timestamp())  # what waited for a morning
    return _outcome(made, term)


def _outcome(made: Book, term: Term) -> Outcome:
    with made.reading() as db:
        told = {
            (subject, theme): (first, last)
            for subject, theme, first, last in db.execute(
                "SELECT subject, theme, min(first), max(last) FROM episode WHERE level >= 0 GROUP BY 1, 2"
            )
        }
        spans = list(db.execute("SELECT subject, theme, first, last FROM episode WHERE level >= 0"))
        sent = db.execute("SELECT count(DISTINCT episode || ' ' || level) FROM outbox WHERE what = 'alert'")
        alerts = int(sent.fetchone()[0])
    missed = [
        one
        for one in term.planted
        if (one.subject, one.theme) not in told
        or not any(
            (subject, theme) == (one.subject, one.theme) and first <= one.at.timestamp() <= last + 1
            for subject, theme, first, last in spans
        )
    ]
    return Outcome(missed, alerts, len(spans), alerts / term.pupils * 100 / term.weeks)


def _hours(records: list[Record]) -> Iterator[list[Record]]:
    hour: list[Record] = []
    for record in records:
        if hour and record.time // 3_600_000 != hour[0].time // 3_600_000:
            yield hour
            hour = []
        hour.append(record)
    if hour:
        yield hour


def _about(dice: random.Random, mean: float) -> int:
    return int(mean) + (dice.random() < mean % 1) if dice.random() < 0.5 else int(dice.random() * 2 * mean)


def _moment(dice: random.Random, week: int) -> datetime:
    # School days mostly; one in twenty late, or at a weekend: boarders, clubs, devices at home.
    day, minute = dice.randrange(5), dice.randrange(9 * 60, 15 * 60)
    if dice.random() < 0.05:
        day, minute = dice.randrange(7), dice.randrange(16 * 60, 23 * 60)
    return FIRST_DAY + timedelta(weeks=week, days=day, minutes=minute, seconds=dice.randrange(60))


def _record(policy: Policy, person: Person, category: str, at: datetime, number: int) -> Record:
    known = policy.categories.get(category, policy.categories["gambling"])
    decision = Decision(
        Action.BLOCK, Reason.UNACCEPTABLE, "Not for pupils (W:472).", person.group, category,
        "profiles/westways/ks2.yaml:14", severity=known.severity, flagged=True,
    )  # fmt: skip
    return from_access(
        Access(
            reference=f"T{number:07}", at=at, person=person, client="10.20.0.14", host=f"{category}.example",
            url=f"https://{category}.example/{number}", method="GET", decision=decision,
        )
    )  # fmt: skip
