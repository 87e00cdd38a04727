"""Alert rules, sightings and a book of alerts, as small as a test needs them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.alerts import episodes, ladder
from appliance.alerts.book import Book
from appliance.alerts.episodes import Means
from appliance.alerts.ladder import Directory
from appliance.model.alerting import Alerting, AlertRule, Sighting, Theme
from appliance.model.category import Risk, Severity
from appliance.policy.schedule import within

MONDAY = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
"""A school day, within the hours."""

DSL, DEPUTY, HEAD = "dsl@school.example", "deputy@school.example", "head@school.example"
DIRECTORY = Directory({"dsl": (DSL,), "deputy": (DEPUTY,), "head": (HEAD,)})
HARM = Theme("self_harm", "Self-harm and suicide", Risk.CONTENT, frozenset({"self_harm"}))
BETS = Theme("gambling", "Gambling", Risk.COMMERCE, frozenset({"gambling"}))
BYPASS = Theme(
    "bypass", "Getting round the filter", Risk.CONDUCT, frozenset({"filter_bypass"}), frozenset({"mismatch"})
)
TOLD = Theme("self_report", "Somebody told us", Risk.CONTENT)


def rule(name: str = "harm", **changes: object) -> AlertRule:
    """Return a rule about everything that tells the DSL, then the deputy, then the head."""
    plain = AlertRule(name, "Somebody must know of it.", "alerts.yaml:1", ("dsl", "deputy", "head"))
    return replace(plain, **changes)  # type: ignore[arg-type] # any field of the rule


def rules(*them: AlertRule, **changes: object) -> Alerting:
    """Return alert rules about four themes."""
    themes = {theme.id: theme for theme in (HARM, BETS, BYPASS, TOLD)}
    roles = {"dsl": "Lead", "deputy": "Deputy", "head": "Head"}
    plain = Alerting(roles, themes, them or (rule(),), adults=frozenset({"staff"}))
    return replace(plain, **changes)  # type: ignore[arg-type] # any field of the rules


def sighting(
    number: int = 0, category: str = "self_harm", *, minutes: float = 0, who: str = "Ada", **changes: object
) -> Sighting:
    """Return one sighting out of many: its number makes it another event."""
    key = int.from_bytes(
        hashlib.blake2b(f"{number}{category}{who}{minutes}".encode(), digest_size=8).digest(), signed=True
    )
    at = MONDAY + timedelta(minutes=minutes)
    plain = Sighting(
        key, at, f"name {who}", "ks2", category, "unacceptable", Severity.HIGH, f"REF-{number:05}"
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # any field of the sighting


def book(folder: Path, *confirmed: str) -> Book:
    """Return a new book of alerts in which these addresses have confirmed."""
    made = Book(folder)
    made.prepare()
    with made.writing() as db:
        for address in confirmed:
            db.execute("INSERT INTO recipient VALUES (?, 0, 0)", (address,))
    return made


def happen(
    made: Book, alerting: Alerting, *seen: Sighting, now: datetime | None = None
) -> list[tuple[str, str, str]]:
    """Take sightings and tell whoever is to be told; return what is new in the outbox: case, why, to whom."""
    moment = now or max((one.at for one in seen), default=MONDAY)
    with made.writing() as db:
        before = db.execute("SELECT coalesce(max(id), 0) FROM outbox").fetchone()[0]
        episodes.take(db, seen, Means(alerting, within), moment)
        ladder.tell(db, DIRECTORY, moment.timestamp())
        query = "SELECT episode, what, address FROM outbox WHERE id > ? ORDER BY id"
        return [(f"A-{e:05}", what, to.partition("@")[0]) for e, what, to in db.execute(query, (before,))]


def later(made: Book, minutes: float) -> list[tuple[str, str, str]]:
    """Let time pass, and return whom the ladder tells then."""
    return happen(made, rules(), now=MONDAY + timedelta(minutes=minutes))
