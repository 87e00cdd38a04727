"""One person in the overrides: those that were made for them or by them, and taking their name out.

What lives only here: which overrides are somebody's. What staff granted stays with their name: who
opened what for whom is what the school answers for.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from appliance.model.grant import State
from appliance.overrides.database import Database
from appliance.overrides.reports import take_out, visits_of
from appliance.overrides.written import COLUMNS, Override, override_of, whom_text

ERASED = "(erased)"
"""What stands in place of a name that was erased."""

_OPEN = (State.REQUESTED, State.GRANTED, State.ACTIVE)
_ALL = f"SELECT {COLUMNS} FROM override ORDER BY number"  # noqa: S608 - our own names


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def kept(database: Database, name: str) -> list[dict[str, Any]]:
    """Return the overrides for `name`, or asked for or granted by them, without anybody else's name."""
    found = []
    with database.reading() as db:
        for one in _readable(db):
            roles = {
                "for": any(_same(person, name) for person in one.wish.whom.persons),
                "asked": _same(one.asked_by, name),
                "granted": _same(one.granted_by, name),
            }
            if any(roles.values()):
                found.append(_shown(one, [role for role, mine in roles.items() if mine]))
    return found


def visited(database: Database, name: str) -> list[dict[str, Any]]:
    """Return what reports of overrides say of `name`."""
    with database.reading() as db:
        return [
            {
                "override": number,
                "site": one.host,
                "times": one.times,
                "first": one.first,
                "last": one.last,
            }
            for number in _reported(db, name)
            for one in visits_of(db, number)
            if _same(one.name, name)
        ]


def erase_visits(database: Database, name: str) -> int:
    """Leave of what reports say of `name` no more than what their group did; return how many visits."""
    with database.writing() as db:
        db.execute("PRAGMA secure_delete = ON")
        return sum(take_out(db, number, lambda one: _same(one.name, name)) for number in _reported(db, name))


def erase(database: Database, name: str) -> tuple[int, list[int]]:
    """Take `name` out of overrides that have ended; return how many, and the numbers of those still open."""
    changed, still_open = 0, []
    with database.writing() as db:
        db.execute("PRAGMA secure_delete = ON")
        for one in _readable(db):
            whom = one.wish.whom
            if not any(_same(person, name) for person in whom.persons):
                continue
            if one.state in _OPEN:
                still_open.append(one.number)
                continue
            written = json.loads(whom_text(whom))
            others = [person for person in written["persons"] if not _same(person, name)]
            written["persons"] = sorted({*others, ERASED})
            db.execute("UPDATE override SET whom = ? WHERE number = ?", (json.dumps(written), one.number))
            changed += 1
    return changed, still_open


def _reported(db: sqlite3.Connection, name: str) -> list[int]:
    found = db.execute("SELECT DISTINCT number, name FROM visit WHERE name != '' ORDER BY number").fetchall()
    return list(dict.fromkeys(number for number, who in found if _same(who, name)))


def _readable(db: sqlite3.Connection) -> Iterator[Override]:
    for row in db.execute(_ALL).fetchall():
        with suppress(ValueError):  # a damaged row opens nothing, and names nobody that could be read
            yield override_of(row)


def _shown(one: Override, roles: list[str]) -> dict[str, Any]:
    return {
        "number": one.number,
        "your part": ", ".join(roles),
        "state": one.state.value,
        "hosts": sorted(one.wish.what.hosts),
        "pages": ["".join(page) for page in sorted(one.wish.what.pages)],
        "categories": sorted(one.wish.what.categories),
        "reason": one.wish.reason,
        "subject": one.wish.subject,
        "starts": one.wish.starts,
        "ends": one.wish.ends,
    }
