"""Tests of the reports of overrides: made once, kept with their override, blanked in time, never lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.overrides import subject
from appliance.overrides.database import _LATER, _TABLES, Database
from appliance.overrides.report import Visit
from appliance.overrides.reports import LIST, MAIL, Reports, Unread
from appliance.overrides.written import what_text, whom_text
from tests.overrides.making import HOUR, NOW, Made, MemoryTrail, make, wish

pytestmark = pytest.mark.slow  # each makes a database

VISITS = [
    Visit("Ada", "ks2", "", "bets.example", 3, NOW, NOW + 60),
    Visit("Ben", "ks2", "", "bets.example", 1, NOW + 5, NOW + 5),
    Visit("Ben", "ks2", "", "cdn.example", 2, NOW + 6, NOW + 7),
    Visit("", "ks1", "Tablet 1", "bets.example", 4, NOW, NOW + 9),
]
LATER = NOW + 200 * 86_400


def ended(made: Made) -> tuple[Reports, int]:
    """Grant something that ends, and return the reports with its number."""
    number = made.granted()
    made.store.advance(NOW + HOUR)
    return Reports(made.database, made.trail), number


def test_a_report_is_made_once_for_what_has_ended(tmp_path: Path) -> None:
    """S-23: whatever dies in between, there is one report, and one record of it in the audit."""
    made = make(tmp_path)
    reports, number = ended(made)
    made.granted(NOW, NOW + 3 * HOUR)  # still open
    made.store.request(wish(), by="a", now=NOW)
    assert reports.due(NOW + HOUR - 1) == []
    assert [one.number for one in reports.due(NOW + HOUR)] == [number]
    assert reports.of(number) is None
    assert reports.keep(number, VISITS, now=NOW + HOUR + 10)
    assert not reports.keep(number, [], now=NOW + HOUR + 11)
    assert not reports.keep(99, VISITS, now=NOW)
    assert reports.due(NOW + HOUR + 20) == []
    assert reports.visits(number) == sorted(
        VISITS, key=lambda one: (one.name, one.group, one.device, one.host)
    )
    told = [entry for entry in made.trail.kept if entry["what"] == "override-reported"]
    assert [(one["whom"], one["of_accesses"], one["of_people"], one["of_sites"]) for one in told] == [
        (f"override {number}", 10, 3, 2)
    ]


def test_where_the_audit_fails_nothing_is_kept(tmp_path: Path) -> None:
    """What is not in the trail has not happened: the report is made the next time."""
    made = make(tmp_path)
    reports, number = ended(made)
    made.trail.broken = OSError(28, "full")
    with pytest.raises(OSError, match="full"):
        reports.keep(number, VISITS, now=LATER)
    assert reports.visits(number) == []
    assert [one.number for one in reports.due(LATER)] == [number]


def test_it_waits_until_the_granter_has_read_it(tmp_path: Path) -> None:
    """A look of somebody else is in the audit, with its purpose, and does not count as the granter's."""
    made = make(tmp_path)
    reports, number = ended(made)
    reports.keep(number, VISITS, now=LATER)
    assert reports.untold() == reports.unread() == [Unread(number, "mrs.jones")]
    reports.told(number, MAIL)
    assert reports.untold() == []
    reports.look(number, by="tech", purpose="a complaint", now=LATER + 1)
    assert reports.unread() == [Unread(number, "mrs.jones")]
    reports.look(number, by="Mrs.Jones", purpose="to see", now=LATER + 2)
    assert reports.unread() == []
    kept = reports.of(number)
    assert kept is not None
    assert (kept.told, kept.read_at, kept.accesses) == (MAIL, LATER + 2, 10)
    looks = [(one["by"], one["purpose"]) for one in made.trail.kept if one["what"] == "override-report"]
    assert looks == [("tech", "a complaint"), ("Mrs.Jones", "to see")]
    made.trail.broken = OSError(28, "full")
    with pytest.raises(OSError, match="full"):
        reports.look(number, by="tech", purpose="again", now=LATER)


def test_names_and_sites_go_in_their_time_and_numbers_stay(tmp_path: Path) -> None:
    """DP-2: a report survives the log's rows only as what each group did, but for whoever is on hold."""
    made = make(tmp_path)
    reports, number = ended(made)
    reports.keep(number, VISITS, now=NOW + HOUR)
    reports.told(number, LIST)
    assert reports.blank(NOW, (), now=LATER) == 0
    assert reports.blank(LATER, {"Ada"}, now=LATER) == 3
    assert reports.visits(number) == [
        Visit("", "ks1", "", "", 4, NOW, NOW + 9),
        Visit("", "ks2", "", "", 3, NOW + 5, NOW + 7),
        VISITS[0],
    ]
    assert reports.blank(LATER, {"Ada"}, now=LATER) == 0
    assert [one["rows"] for one in made.trail.kept if one["what"] == "retention"] == [3]
    assert reports.blank(LATER, (), now=LATER) == 1
    assert sum(one.times for one in reports.visits(number)) == 10
    assert b"Ada" not in made.database.path.read_bytes()
    made.store.retire(LATER, now=LATER)
    assert reports.of(number) is None
    assert reports.visits(number) == []


def test_what_a_report_says_of_one_person_is_theirs_and_can_be_erased(tmp_path: Path) -> None:
    """DP-6: subject access shows their own visits, erasure leaves the numbers alone."""
    made = make(tmp_path)
    reports, number = ended(made)
    reports.keep(number, VISITS, now=NOW + HOUR)
    found = subject.visited(made.database, "ben")
    assert [(one["override"], one["site"], one["times"]) for one in found] == [
        (number, "bets.example", 1),
        (number, "cdn.example", 2),
    ]
    assert subject.erase_visits(made.database, "BEN") == 2
    assert subject.visited(made.database, "ben") == []
    assert sum(one.times for one in reports.visits(number)) == 10
    assert [one["site"] for one in subject.visited(made.database, "Ada")] == ["bets.example"]


def test_what_ended_before_there_were_reports_tells_nobody(tmp_path: Path) -> None:
    """A new release must not mail a hundred teachers about last year."""
    database = Database(tmp_path)
    database.path.parent.mkdir()
    what, whom = what_text(wish().what), whom_text(wish().whom)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as db:
        for statement in (*_TABLES.split(";\n"), *_LATER[2].split(";\n"), "PRAGMA user_version = 2"):
            db.execute(statement)
        row = (1, "expired", what, whom, "Because.", "Art", 0, 9, 1, "a", 0, "b", "teacher", 9.0, "", 1)
        db.execute(f"INSERT INTO override VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - placeholders
    database.prepare()
    reports = Reports(database, MemoryTrail())
    assert reports.due(LATER) == []
    assert reports.untold() == reports.unread() == []
    assert reports.of(1) is None


def test_a_damaged_row_holds_up_no_other_report(tmp_path: Path) -> None:
    """One override that cannot be read must not keep every later granter waiting."""
    made = make(tmp_path)
    reports, first = ended(made)
    _, second = ended(made)
    with made.database.writing() as db:
        db.execute("UPDATE override SET what = 'x' WHERE number = ?", (first,))
    assert [one.number for one in reports.due(LATER)] == [second]
