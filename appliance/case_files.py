"""One case as files for the school's safeguarding records: what was seen, what was done, by whom.

What lives only here: which parts of log and book a case's export holds. The log has no address of a statutory
list's hit, and what is about illegal material gives none away either, whatever named it (ILL-1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from appliance.alerts import cases
from appliance.alerts.book import Book
from appliance.alerts.incidents import tasks
from appliance.events.queries import LIMIT
from appliance.events.record import Record
from appliance.events.store import DATABASE as LOG
from appliance.events.subject import by_reference
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.model.decision import NEVER_SHOWN, NOT_SHOWN
from appliance.reports.bundle import csv_text
from appliance.reports.paper import Paper, Table
from appliance.settings import Settings

_HEADS = ("time", "person", "group", "device", "address", "search", "outcome", "category", "why", "reference")
_SHOWN = ("Time", "Address", "Search", "Category")
_FOOT = "Confidential: child protection. Keep it as the school's safeguarding records."


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """One case, ready to be handed over."""

    reference: str
    files: dict[str, bytes]


def case(settings: Settings, reference: str, now: datetime) -> CaseFiles:
    """Return a case by its reference as files; AlertsError where there is none, EventsError."""
    with Book(settings.state).reading() as db:
        found = cases.find(db, reference)
        seen, rules = cases.hits(db, found.number), cases.rules(db, found.number)
        notes, sent = cases.notes(db, found.number), cases.sent(db, found.number)
        steps = tasks(db, found.number)
    log = _log(settings.state, [each for _, each, _ in seen])
    rows = [_row(at, each, category, log.get(each)) for at, each, category in seen]
    done = [(_moment(at), "note", by, text) for at, by, text in notes]
    done += [
        (_moment(at), f"told: {what}", to, f"{state} {error}".strip()) for at, what, to, state, error in sent
    ]
    done += [
        (_moment(one.at), f"task: {one.title}", one.by, f"{one.state} {one.reason}".strip()) for one in steps
    ]
    done.sort()
    facts = _facts(found, rules)
    paper = Paper(
        f"Case {found.reference}: {found.title}", now, _sentences(settings, now),
        [
            Table("The case", ("", ""), facts),
            Table("What was seen", _SHOWN, [(row[0], row[4], row[5], row[7]) for row in rows]),
            Table("What was done", ("Time", "What", "Who", "Text"), done),
        ],
        _FOOT,
    )  # fmt: skip
    from appliance.reports.sheet import pdf  # noqa: PLC0415 - slow to load, and few print a case

    about = {"school": settings.school.name, "made": now.isoformat(), **dict(facts)}
    return CaseFiles(
        found.reference,
        {
            "case.pdf": pdf(paper),
            "seen.csv": csv_text(_HEADS, rows),
            "done.csv": csv_text(("time", "what", "who", "text"), done),
            "case.json": json.dumps(about, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        },
    )


def _log(state: Path, references: Sequence[str]) -> dict[str, Record]:
    if not (state / LOG).exists():
        return {}
    return {record.reference: record for record in by_reference(state, references[:LIMIT])}


def _row(at: datetime, reference: str, category: str, record: Record | None) -> tuple[str, ...]:
    if record is None:
        return (_moment(at), "", "", "", "(no longer in the log)", "", "", category, "", reference)
    illegal = bool(record.floor) or record.reason in NEVER_SHOWN
    address = NOT_SHOWN if illegal else record.url or record.host
    return (
        _moment(record.at), record.name, record.group, record.device or record.client, address,
        "" if illegal else record.search_term, record.action, record.category, record.because, reference,
    )  # fmt: skip


def _facts(found: cases.Case, rules: Sequence[str]) -> list[tuple[str, str]]:
    kind, _, who = found.subject.partition(" ")
    values: list[tuple[str, Any]] = [
        ("Reference", found.reference),
        ("Who", who if kind == "name" else f"nobody by name: {found.subject}"),
        ("Year group", found.group),
        ("Theme", found.title),
        ("Severity", found.severity.name.lower()),
        ("First seen", _moment(found.first)),
        ("Last seen", _moment(found.last)),
        ("Accesses", str(found.count)),
        ("Told by the rules", ", ".join(rules)),
        ("State", found.state),
        ("In whose hands", found.by),
        ("Outcome", found.outcome),
    ]
    return [(name, str(value)) for name, value in values if value != ""]


def _sentences(settings: Settings, now: datetime) -> list[str]:
    made = (
        f"{settings.school.name}. Made on {_moment(now)} by the school gateway for the safeguarding records."
    )
    shows = (
        "An access shows what a device asked for under this person's sign-in. It does not show who sat there,"
    )
    return [made, f"{shows} what was on the screen, or why."]


def _moment(at: datetime) -> str:
    return f"{at.astimezone(SCHOOL_ZONE):%Y-%m-%d %H:%M:%S}"
