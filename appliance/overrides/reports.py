"""Reports of overrides that have ended: each made once, kept with its override, told to whoever granted it.

What lives only here: the tables of them. Making one, with its record in the audit, is one transaction, so
that whoever dies in the middle makes it again, and nobody makes it twice. Names, devices and sites stay as
long as the log may keep them; after that what each group did is left, as numbers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from appliance.overrides.database import Database
from appliance.overrides.report import Visit, merged
from appliance.overrides.store import THE_GATEWAY, Trail
from appliance.overrides.written import COLUMNS, Override, override_of
from appliance.transactions import noted

MAIL, LIST = "mail", "list"
"""How the granter is told: by a mail, or where no address of theirs is known, by `overrides list` alone."""

_DUE = f"""SELECT {COLUMNS} FROM override WHERE state IN ('expired', 'revoked') AND ended_at <= ?
    AND number NOT IN (SELECT number FROM report) ORDER BY number"""  # noqa: S608 - our own names
_KEPT = "number, made, accesses, people, sites, told, read_at"
_VISIT = 'name, "group", device, host, times, first, last'


@dataclass(frozen=True, slots=True)
class Kept:
    """One report as it is kept, without the visits: how much it was, and how it was told.

    Moments are seconds since 1970; `read_at` is None until whoever granted the override has looked at it.
    """

    number: int
    made: float
    accesses: int
    people: int
    sites: int
    told: str
    read_at: float | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A report that whoever granted the override has not looked at yet."""

    number: int
    granted_by: str


class Reports:
    """The reports of one school."""

    def __init__(self, database: Database, trail: Trail) -> None:
        self._database = database
        self._trail = trail

    def due(self, before: float, limit: int = 100) -> list[Override]:
        """Return the overrides that ended before a moment and have no report; of what is damaged, none."""
        with self._database.reading() as db:
            rows = db.execute(f"{_DUE} LIMIT ?", (before, limit)).fetchall()
        return [found for row in rows if (found := _readable(row)) is not None]

    def keep(self, number: int, found: Iterable[Visit], *, now: float) -> bool:
        """Keep the report of an override; False where it has one already, or is not there any more."""
        visits = merged(found)
        people = len({(one.name, one.group, one.device) for one in visits})
        sums = {
            "of_accesses": float(sum(one.times for one in visits)),
            "of_people": float(people),
            "of_sites": float(len({one.host for one in visits})),
        }
        with noted(self._database.writing, self._trail) as db:
            there = db.execute("SELECT 1 FROM override WHERE number = ?", (number,)).fetchone()
            if there is None or _get(db, number) is not None:
                return False
            db.execute(
                f"INSERT INTO report ({_KEPT}) VALUES (?, ?, ?, ?, ?, '', NULL)",  # noqa: S608 - our own names
                (number, now, *map(int, sums.values())),
            )
            _put(db, number, visits)
            self._trail.add("override-reported", f"override {number}", by=THE_GATEWAY, at=now, **sums)
        return True

    def of(self, number: int) -> Kept | None:
        """Return the report of an override; None where there is none, or it ended before any were kept."""
        with self._database.reading() as db:
            found = _get(db, number)
        return found if found is not None and found.made else None

    def standing(self, numbers: Collection[int]) -> dict[int, Kept]:
        """Return those of the reports of these overrides that are kept, by number.

        One that was made at 0 stands for an override of before any reports were kept: it has none, for ever.
        """
        query = f"SELECT {_KEPT} FROM report WHERE number BETWEEN ? AND ?"  # noqa: S608 - our own names
        with self._database.reading() as db:
            rows = db.execute(query, (min(numbers, default=0), max(numbers, default=0))).fetchall()
        return {kept.number: kept for kept in (Kept(*row) for row in rows) if kept.number in numbers}

    def visits(self, number: int) -> list[Visit]:
        """Return what the report of an override says."""
        with self._database.reading() as db:
            return visits_of(db, number)

    def untold(self) -> list[Unread]:
        """Return the reports of which nobody was told yet."""
        return self._unread("told = ''")

    def unread(self) -> list[Unread]:
        """Return the reports that whoever granted the override has not looked at."""
        return self._unread("read_at IS NULL")

    def told(self, number: int, way: str) -> None:
        """Note how whoever granted it was told."""
        with self._database.writing() as db:
            db.execute("UPDATE report SET told = ? WHERE number = ?", (way, number))

    def look(self, number: int, *, by: str, purpose: str, now: float, **details: str) -> None:
        """Note in the audit that somebody looks, and why, before anything is shown; OSError.

        Whoever granted it has read it then. An override without a report can be looked at as well.
        """
        self._trail.say("override-report", f"override {number}", by=by, at=now, purpose=purpose, **details)
        if any(one.number == number and one.granted_by.casefold() == by.casefold() for one in self.unread()):
            with self._database.writing() as db:
                db.execute("UPDATE report SET read_at = ? WHERE number = ?", (now, number))

    def blank(self, before: float, held: Collection[str], *, now: float) -> int:
        """Take names, devices and sites out of what was before a moment; return how many rows that were.

        What each group did is left, without a pseudonym. Whoever is on legal hold stays.
        """
        old = "(name != '' OR device != '' OR host != '') AND last < ?"
        with self._database.reading() as db:
            query = f"SELECT DISTINCT name FROM visit WHERE {old}"  # noqa: S608 - our own names
            names = {name for (name,) in db.execute(query, (before,))}
        if not names.difference(held):
            return 0
        with noted(self._database.writing, self._trail) as db:
            db.execute("PRAGMA secure_delete = ON")  # what is gone is overwritten
            numbers = db.execute(f"SELECT DISTINCT number FROM visit WHERE {old}", (before,)).fetchall()  # noqa: S608 - our own names
            gone = 0
            for (number,) in numbers:
                gone += take_out(db, number, lambda one: one.last < before and one.name not in held)
            self._trail.add(
                "retention", "reports of overrides: names, devices, sites",
                by=THE_GATEWAY, at=now, rows=float(gone),
            )  # fmt: skip
        return gone

    def _unread(self, which: str) -> list[Unread]:
        query = (
            "SELECT number, granted_by FROM report JOIN override USING (number) "  # noqa: S608 - our own names
            f"WHERE made > 0 AND {which} ORDER BY number"
        )
        with self._database.reading() as db:
            return [Unread(*row) for row in db.execute(query)]


def take_out(db: sqlite3.Connection, number: int, which: Callable[[Visit], bool]) -> int:
    """Leave of those visits of a report no more than what their group did; return how many they were."""
    found = visits_of(db, number)
    blank = [replace(one, name="", device="", host="") if which(one) else one for one in found]
    gone = sum(one != other for one, other in zip(found, blank, strict=True))
    if gone:
        db.execute("DELETE FROM visit WHERE number = ?", (number,))
        _put(db, number, merged(blank))
    return gone


def _put(db: sqlite3.Connection, number: int, visits: Iterable[Visit]) -> None:
    db.executemany(
        f"INSERT INTO visit (number, {_VISIT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
        (
            (number, one.name, one.group, one.device, one.host, one.times, one.first, one.last)
            for one in visits
        ),
    )


def visits_of(db: sqlite3.Connection, number: int) -> list[Visit]:
    """Return what the report of an override says, in the order of names."""
    query = f'SELECT {_VISIT} FROM visit WHERE number = ? ORDER BY name, "group", device, host'  # noqa: S608 - our own names
    return [Visit(*row) for row in db.execute(query, (number,))]


def _get(db: sqlite3.Connection, number: int) -> Kept | None:
    row = db.execute(f"SELECT {_KEPT} FROM report WHERE number = ?", (number,)).fetchone()  # noqa: S608 - our own names
    return Kept(*row) if row is not None else None


def _readable(row: tuple[object, ...]) -> Override | None:
    try:
        return override_of(row)
    except ValueError:
        return None
