"""One person over all rooms: what is kept of them (subject access), and taking it out (erasure).

What lives only here: which rooms are asked, what leaves out other people, and what stays under which hold.
The audit trail is never changed: it keeps who did what, because that must be answered for, and shows of an
erasure a keyed number in place of the name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import assembly
from appliance.alerts import subject as in_alerts
from appliance.alerts.book import Book
from appliance.events import bundle, seals
from appliance.events import subject as in_log
from appliance.events.audit import Trail
from appliance.events.fields import FIELDS
from appliance.events.record import Record
from appliance.events.store import DATABASE as LOG
from appliance.identity import subject as in_people
from appliance.identity.accounts import Accounts
from appliance.identity.database import Database as People
from appliance.identity.names import key
from appliance.model.decision import NEVER_SHOWN, NOT_SHOWN
from appliance.overrides import subject as in_overrides
from appliance.overrides.database import Database as Overrides
from appliance.owners import make_folder
from appliance.reports.bundle import csv_text
from appliance.settings import Settings

KEY = Path("keys") / "subjects.key"
SOMEBODY = "a member of staff"
"""Stands in a bundle for whoever else did something."""

_COLUMNS = (
    "time", "group", "device", "client", "host", "url", "method", "search_term", "action", "reason",
    "category", "because", "reference", "status", "bytes_sent", "bytes_received",
)  # fmt: skip
_FIXED = ("n", "before", "what", "whom", "by", "at")


@dataclass(slots=True)
class Erasure:
    """What became of an erasure: what went, how much of it, what stays and why.

    `held`: something stays that could go once a hold ends, a case is closed, or two days are over.
    """

    gone: dict[str, int] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)
    held: bool = False
    digest: str = ""


def access(settings: Settings, name: str, now: datetime) -> dict[str, bytes]:
    """Return everything that is kept of `name` as files: a letter, tables, and all of it for programs.

    EventsError, AlertsError, IdentityError or OverrideError where a room cannot be read.
    """
    state = settings.state
    name = spelling(state, name)
    people, rows, found = People(state), list[Record](), dict[str, Any]()
    if people.path.exists():
        people.prepare()  # of an older release, where the gateway was not started since
        found["people"] = in_people.kept(people, name)
    if (state / LOG).exists():
        rows = list(in_log.accesses(state, name))
        rest = in_log.kept(state, name)
        found["reviews"] = [{"time": each.at.isoformat(), "message": each.message} for each in rest.reviews]
        found["on_hold_since"] = _moment(rest.held_since)
    found["cases"] = [_case(each) for each in _cases(state, name)]
    overrides = Overrides(state)
    found["overrides"] = in_overrides.kept(overrides, name) if overrides.path.exists() else []
    found["visits_under_overrides"] = in_overrides.visited(overrides, name) if overrides.path.exists() else []
    found["audit"] = list(_noted(state, name))
    found["sealed_copies"] = [folder.name for folder in _sealed(state, name)]
    table = csv_text(_COLUMNS, map(_cells, rows))
    text = json.dumps(found, indent=2, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")
    letter = _letter(settings, name, now, len(rows), found)
    return {"README.txt": letter.encode(), "accesses.csv": table, "everything-else.json": text}


def erase(settings: Settings, name: str, reason: str, *, by: str, now: datetime) -> Erasure:
    """Take out what is kept of `name`, as far as no hold says otherwise; the audit says what and why."""
    state, done, at = settings.state, Erasure(), now.timestamp()
    name = spelling(state, name)
    log_there = (state / LOG).exists()
    # A hold on one spelling is a hold on the person.
    same = spellings(state, name) if log_there else []
    holds = [in_log.kept(state, each).held_since for each in same]
    since = next((moment for moment in holds if moment is not None), None)
    trail, mark = Trail(state), number_of(state, name)
    if since is not None:
        done.held = True
        done.stays.append(
            f"everything: on legal hold since {_moment(since)}; `appliance people unfreeze` ends it"
        )
        trail.add("erase-refused", mark, by=by, at=at, reason=reason, hold="legal hold")
        return done
    trail.add("erase", mark, by=by, at=at, reason=reason)
    open_cases = _erase_cases(state, name, done)
    if log_there:
        kept_since = (
            time.time() - min(settings.retention.keep[one].flagged_days for one in seals.SEALED) * 86_400.0
        )
        erased = in_log.erase(state, name, kept_since, flagged=not open_cases, by=by, at=at)
        done.gone |= {"accesses": erased.accesses, "review requests": erased.reviews}
        done.digest = erased.digest
        if open_cases:
            done.stays.append(f"flagged accesses: {', '.join(open_cases)} not closed")
        elif erased.left:
            done.stays.append("the name in yesterday's and today's index of people: erase again in two days")
    _erase_rest(state, name, done)
    done.held = bool(done.stays)
    done.stays += [f"the sealed copy {folder.name}: made for a freeze" for folder in _sealed(state, name)]
    done.stays.append("the audit trail: who did what must be answered for; no record in it can be changed")
    done.stays.append("backups of this machine: they end with their own terms")
    trail.add(
        "erased", mark, by=by, at=at, digest=done.digest, stays="; ".join(done.stays),
        **{f"of_{what.replace(' ', '_')}": float(count) for what, count in done.gone.items()},
    )  # fmt: skip
    return done


def spellings(state: Path, name: str) -> list[str]:
    """Return a name as it was given, as its account spells it, and as the log and the cases do.

    Only as far as something is kept of it; so empty where nobody has it. The log has the account's spelling,
    or that of the school's directory, where there is no account here.
    """
    people = People(state)
    account = Accounts(people).find(name) if people.path.exists() else None
    kept = in_log.names(state) if (state / LOG).exists() else set[str]()
    book = Book(state)
    if book.path.exists():
        with book.reading() as db:
            kept = kept | in_alerts.names(db)
    same = {each for each in kept if key(each) == key(name)} | ({account.name} if account else set())
    own = account.name if account else ""
    return sorted(same, key=lambda each: (each != name, each != own, each))


def spelling(state: Path, name: str) -> str:
    """Return a name as it is kept; as given where nobody has it."""
    return next(iter(spellings(state, name)), name)


def number_of(state: Path, name: str) -> str:
    """Return the keyed number by which the audit calls somebody whose name is erased.

    Whoever has the key can compare a name with it; nobody can read a name from it.
    """
    path = state / KEY
    make_folder(path.parent)
    assembly.ensure_key(path)
    return "person " + hmac.new(path.read_bytes(), key(name).encode(), hashlib.sha256).hexdigest()[:24]


def _erase_cases(state: Path, name: str, done: Erasure) -> list[str]:
    book = Book(state)
    if not book.path.exists():
        return []
    with book.writing() as db:
        gone, stay = in_alerts.erase(db, name)
    done.gone["cases"] = len(gone)
    done.stays += [f"case {reference}: it is not closed" for reference in stay]
    return stay


def _erase_rest(state: Path, name: str, done: Erasure) -> None:
    people, overrides = People(state), Overrides(state)
    if people.path.exists():
        people.prepare()
        gone, stops = in_people.erase(people, name)
        done.gone |= {what.replace("_", " "): count for what, count in gone.items()}
        done.stays += [f"a stop ({what}) that is in force: lift it first" for what in stops]
    if overrides.path.exists():
        changed, still = in_overrides.erase(overrides, name)
        done.gone["overrides, the name in them"] = changed
        done.gone["visits in reports of overrides"] = in_overrides.erase_visits(overrides, name)
        done.stays += [f"override {number}: it is still open; revoke it first" for number in still]


def _cases(state: Path, name: str) -> list[in_alerts.Kept]:
    book = Book(state)
    if not book.path.exists():
        return []
    with book.reading() as db:
        return in_alerts.kept(db, name)


def _case(one: in_alerts.Kept) -> dict[str, Any]:
    case = one.case
    return {
        "case": case.reference,
        "theme": case.title,
        "severity": case.severity.name.lower(),
        "first": case.first.isoformat(),
        "last": case.last.isoformat(),
        "accesses": case.count,
        "references": one.references,
        "state": case.state,
        "outcome": case.outcome,
        "notes": one.notes,
        "tasks": one.tasks,
    }


def _noted(state: Path, name: str) -> Iterator[dict[str, Any]]:
    same: Callable[[object], bool] = lambda text: key(str(text)) == key(name)  # noqa: E731 - said twice below
    for entry in Trail(state).entries():
        if not same(entry["whom"]) and not same(entry["by"]):
            continue
        details = {what: value for what, value in entry.items() if what not in _FIXED}
        yield {
            "at": entry["at"],
            "what": entry["what"],
            "of": "you" if same(entry["whom"]) else "somebody else or something",
            "by": "you"
            if same(entry["by"])
            else entry["by"]
            if entry["by"] == assembly.GATEWAY
            else SOMEBODY,
            **(details if same(entry["whom"]) else {}),
        }


def _sealed(state: Path, name: str) -> list[Path]:
    found = []
    for folder in sorted((state / bundle.FOLDER).glob("*")):
        try:
            manifest = json.loads((folder / bundle.MANIFEST).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(manifest, dict) and key(str(manifest.get("person", ""))) == key(name):
            found.append(folder)
    return found


def _cells(record: Record) -> list[object]:
    values = record._asdict() | {"time": record.at.isoformat(timespec="seconds")}
    if record.floor or record.reason in NEVER_SHOWN:
        values |= {"host": NOT_SHOWN, "url": "", "search_term": ""}
    return [values[column] for column in _COLUMNS]


def _moment(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _letter(settings: Settings, name: str, now: datetime, accesses: int, found: dict[str, Any]) -> str:
    terms = settings.retention.keep
    sizes = {what: len(found[what]) for what in ("cases", "overrides", "audit")}
    lines = [
        f"What the school gateway of {settings.school.name} keeps about {name}",
        f"Made on {now:%Y-%m-%d at %H:%M} UTC.",
        "",
        f"accesses.csv          {accesses} accesses that the gateway recorded under this name, oldest first.",
        "everything-else.json  the account, sessions and agreements; requests on block pages; cases of the",
        "                      safeguarding team with their notes; overrides; and what the audit trail says.",
        "",
        f"Cases: {sizes['cases']}. Overrides: {sizes['overrides']}. Audit records: {sizes['audit']}.",
        "",
        "Names of other people are left out. Notes of cases are free text: somebody who may know of the",
        "case must read them before this is handed over, because they may speak of others, or handing them",
        "over may put a child at risk (Data Protection Act 2018, schedule 3, part 5). What was asked for",
        "from a device on which nobody had signed in is not kept under any name, and is not here.",
        "",
        "Times are UTC. What each field is for, and for how many days it is kept (ordinary, flagged):",
        "",
    ]
    lines += [
        f"  {name:18} {terms[name].days:4} {terms[name].flagged_days:4}  {one.purpose}"
        for name, one in FIELDS.items()
    ]
    return "\n".join([*lines, ""])
