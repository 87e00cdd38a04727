"""Tests of reports joined from real stores, and of when they are made."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from appliance import summing
from appliance.alerts import ladder
from appliance.alerts.book import Book
from appliance.alerts.ladder import Directory
from appliance.assembly import Loaded
from appliance.events.audit import Trail
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.grant import What, Whom
from appliance.overrides.database import Database as Overrides
from appliance.overrides.store import Overrides as OverrideStore
from appliance.overrides.written import Wish
from appliance.reports.options import ReportSettings
from appliance.reports.paper import Paper
from appliance.settings import Settings
from tests.doubles.alerts import DSL, MONDAY, book, happen, rules, sighting
from tests.doubles.events import ALLOWED, BLOCKED, PUPIL, START, access
from tests.doubles.school import configuration, load_once
from tests.overrides.making import MemoryTrail

pytestmark = pytest.mark.slow  # each reads a whole configuration, or makes databases

FRIDAY = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Return a school whose log, cases and overrides hold one week."""
    found = load_once(configuration(tmp_path))
    state = found.settings.state
    asyncio.run(_write(state))
    happen(book(state, DSL), rules(), sighting(who=PUPIL.name))
    database = Overrides(state)
    database.prepare()
    store = OverrideStore(database, MemoryTrail())
    at = START.timestamp()
    wish = Wish(
        What(frozenset({"bets.example"})),
        Whom(groups=frozenset({"ks2"})),
        "Maths.",
        "Maths",
        at,
        at + 9e4,
        "REF-1",
    )
    store.grant(store.request(wish, by="page", now=at), "teacher", by="head", now=at + 7_200)
    store.request(replace(wish, review="REF-2"), by="page", now=at)
    return found


async def _write(state: Path) -> None:
    state.mkdir(exist_ok=True)  # noqa: ASYNC240 - in a test
    writer = Writer(state / DATABASE, durable=False, patience=1)
    made = [access(number, decision) for number, decision in enumerate((ALLOWED, ALLOWED, BLOCKED))]
    made.append(access(9, at=START - WEEK))
    await writer.write([from_access(each) for each in made])
    await writer.close()


def rows(paper: Paper, title: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of one table by their first cell."""
    (table,) = [table for table in paper.tables if title in table.title]
    return {row[0]: tuple(row[1:]) for row in table.rows}


def delivering(settings: Settings, **reports: object) -> Settings:
    """Return settings that tell the DSL."""
    alerts = settings.alerts.model_copy(update={"deliver": True, "roles": {"dsl": (DSL,)}})
    chosen = ReportSettings.model_validate(reports)
    return settings.model_copy(update={"alerts": alerts, "reports": chosen})


def test_every_figure_comes_from_its_store(loaded: Loaded) -> None:
    """What stands in the report is what stands in log, cases, overrides and lists."""
    made = summing.paper(loaded.settings, loaded.policy, summing.WEEKLY, FRIDAY - WEEK, FRIDAY)
    assert rows(made, "glance")["Accesses"] == ("3", "1")
    assert rows(made, "glance")["Blocked"] == ("1", "0")
    assert rows(made, "glance")["Cases that somebody was told of"] == ("1", "0")
    assert rows(made, "by theme") == {"Self-harm and suicide": ("1",)}
    assert rows(made, "by risk")["Commerce"] == ("1", "1")
    assert rows(made, "mistake")["Hours until an answer: the longest"] == ("2.0",)
    assert rows(made, "mistake")["Waiting"] == ("1",)
    assert rows(made, "by role") == {"teacher": ("1",)}
    assert PUPIL.name not in str(made)


def test_the_parts_that_are_not_there_yet_are_left_out(tmp_path: Path) -> None:
    """A gateway of one day, without cases or overrides, makes its report."""
    found = load_once(configuration(tmp_path))
    asyncio.run(_write(found.settings.state))
    made = summing.paper(found.settings, found.policy, summing.TERMLY, FRIDAY - 11 * WEEK, FRIDAY)
    assert rows(made, "by theme") == {}


def test_tests_on_record_are_in_the_report_and_nobody_who_made_them(loaded: Loaded) -> None:
    """S-50, DFE-V4: what was tested, when and with which outcome; alerts and their sign of life as well."""
    state, at = loaded.settings.state, FRIDAY - timedelta(days=1)
    trail = Trail(state)
    trail.add("selftest", "passed", by="t.smith", at=at.timestamp(), checks=22.0, failed=0.0, gateway="asked")
    trail.add(
        "alert-test", "2 messages", by="t.smith", at=at.timestamp(), test=ladder.test_name(at.timestamp())
    )
    with Book(state).writing() as db:
        ladder.test(db, Directory({"dsl": (DSL,)}, technicians=("it@school.example",)), at.timestamp())
        db.execute("UPDATE outbox SET state = 'sent' WHERE address = ?", (DSL,))
    made = summing.paper(loaded.settings, loaded.policy, summing.TERMLY, FRIDAY - WEEK, FRIDAY)
    (table,) = [table for table in made.tables if table.title == "Tests"]
    assert [row[1:] for row in table.rows] == [
        ("Self-test of the filter", "passed: 22 checks"),
        ("Alerts", "1 of 2 messages taken"),
    ]
    assert "One test of the filter is on record for this time, none of which failed." in made.sentences
    assert "t.smith" not in str(made)


def test_a_damaged_audit_costs_no_report(loaded: Loaded) -> None:
    """The week is told all the same, and so is that the records of tests cannot be read."""
    trail = Trail(loaded.settings.state)
    for _ in range(2):
        trail.add("selftest", "passed", by="t.smith", at=FRIDAY.timestamp() - 60)
    trail.path.write_bytes(trail.path.read_bytes().replace(b"passed", b"failed", 1))
    made = summing.paper(loaded.settings, loaded.policy, summing.WEEKLY, FRIDAY - WEEK, FRIDAY)
    assert any("cannot be read" in str(table.rows) for table in made.tables if table.title == "Tests")


def test_a_report_that_is_due_is_made_once_and_told_without_a_name(loaded: Loaded) -> None:
    """S-46: the mail says that it is there; the report itself stays on the gateway, closed to others."""
    settings = delivering(loaded.settings)
    ((path, _),) = summing.make_due(settings, loaded.policy, FRIDAY)
    assert path.name == "weekly-2026-11-27.pdf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_suffix(".html").exists()
    assert summing.make_due(settings, loaded.policy, FRIDAY + timedelta(hours=2)) == []
    with Book(settings.state).reading() as db:
        told = list(db.execute("SELECT address, body FROM outbox WHERE what = 'ready'"))
    assert told == [(DSL, '{"report": "weekly-2026-11-27"}')]


def test_a_report_cut_off_in_the_middle_is_made_again(loaded: Loaded) -> None:
    """A power cut leaves no half report in the place of a whole one."""
    folder = loaded.settings.state / summing.FOLDER
    folder.mkdir()
    (folder / "weekly-2026-11-27.html").write_text("half", encoding="utf-8")
    (folder / ".weekly-2026-11-27.html.new").write_text("half", encoding="utf-8")
    summing.make_due(loaded.settings, loaded.policy, FRIDAY)
    assert "</html>" in (folder / "weekly-2026-11-27.html").read_text(encoding="utf-8")


def test_when_reports_are_due_by_the_schools_clock(loaded: Loaded) -> None:
    """A gateway that was off on Friday makes the report on Monday; summer time moves nothing."""
    options = ReportSettings.model_validate({"termly": {"days": [date(2026, 12, 18), date(2027, 3, 26)]}})

    def names(now: datetime) -> list[str]:
        return [one.name for one in summing.due(options, loaded.policy, "westways", now)]

    assert names(FRIDAY - timedelta(minutes=1)) == ["weekly-2026-11-20"]
    assert names(FRIDAY) == ["weekly-2026-11-27"]
    assert names(MONDAY + WEEK) == ["weekly-2026-11-27"]
    assert names(datetime(2026, 12, 18, 18, 0, tzinfo=UTC)) == ["weekly-2026-12-18", "termly-2026-12-18"]
    summer = datetime(2026, 6, 5, 14, 30, tzinfo=UTC)  # 15:30 in school
    assert names(summer) == ["weekly-2026-06-05"]
    spring = datetime(2027, 3, 26, 19, tzinfo=UTC)
    second = list(summing.due(options, loaded.policy, "westways", spring))
    assert (second[-1].since.date(), second[-1].until.date()) == (date(2026, 12, 18), date(2027, 3, 26))
    none = ReportSettings(weekly=None, termly=None)
    assert list(summing.due(none, loaded.policy, "westways", FRIDAY)) == []


def test_confidential_reports_end_with_the_log(loaded: Loaded) -> None:
    """DP-2: small numbers are kept no longer than what they were counted from; governors' reports stay."""
    folder = loaded.settings.state / summing.FOLDER
    folder.mkdir()
    for name in ("weekly-2020-01-03.pdf", "termly-2020-01-03.pdf"):
        (folder / name).write_text("x", encoding="utf-8")
    now = datetime.now(UTC) + timedelta(days=400)
    quiet = loaded.settings.model_copy(update={"reports": ReportSettings(weekly=None, termly=None)})
    summing.make_due(quiet, loaded.policy, now)
    assert [path.name for path in folder.iterdir()] == ["termly-2020-01-03.pdf"]
