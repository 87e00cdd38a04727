"""Tests of one case as files for the safeguarding records."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import case_files
from appliance.alerts import cases
from appliance.alerts.book import AlertsError, Book
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.decision import NOT_SHOWN, Reason
from appliance.settings import Settings, load_settings
from tests.doubles.alerts import MONDAY, book, happen, rules, sighting
from tests.doubles.events import BLOCKED, FLOOR, PUPIL, access
from tests.doubles.school import configuration

pytestmark = pytest.mark.slow  # each makes databases

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a school with one case of three accesses: one plain, one illegal, one on a statutory list."""
    found = load_settings(configuration(tmp_path)).settings
    made = book(found.state)
    happen(made, rules(), *(sighting(number, who=PUPIL.name) for number in range(4)))
    with made.writing() as db:
        cases.note(db, "A-00001", "mrs.head", '=HYPERLINK("x") spoke with her', MONDAY.timestamp())
    asyncio.run(_write(found.state))
    return found


async def _write(state: Path) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    made = (BLOCKED, replace(BLOCKED, reason=Reason.ILLEGAL), FLOOR)
    await writer.write([from_access(access(number, decision)) for number, decision in enumerate(made)])
    await writer.close()


def seen(files: dict[str, bytes], name: str = "seen.csv") -> list[dict[str, str]]:
    """Return the rows of one table."""
    return list(csv.DictReader(io.StringIO(files[name].decode("utf-8-sig"), newline="")))


def test_a_case_holds_what_was_seen_and_done(settings: Settings) -> None:
    """B13: the safeguarding file has who, what, when and what followed, as a page and as tables."""
    found = case_files.case(settings, "a-1", NOW)
    assert found.reference == "A-00001"
    assert sorted(found.files) == ["case.json", "case.pdf", "done.csv", "seen.csv"]
    first = seen(found.files)[0]
    assert (first["person"], first["address"]) == (PUPIL.name, "https://www.bets.example/page/0?q=odds")
    assert seen(found.files, "done.csv")[0]["who"] == "mrs.head"
    assert found.files["case.pdf"].startswith(b"%PDF")


def test_of_illegal_material_there_is_no_way_to_it(settings: Settings) -> None:
    """ILL-1: whatever named it, no export says where it is or what was searched for."""
    rows = seen(case_files.case(settings, "A-00001", NOW).files)
    assert [row["address"] for row in rows[1:3]] == [NOT_SHOWN, NOT_SHOWN]
    assert [row["search"] for row in rows[1:3]] == ["", ""]
    assert [row["person"] for row in rows[1:3]] == [PUPIL.name, PUPIL.name]


def test_what_the_log_no_longer_has_is_said(settings: Settings) -> None:
    """An access whose record has ended stands with its time and category."""
    assert seen(case_files.case(settings, "A-00001", NOW).files)[3]["address"] == "(no longer in the log)"


def test_the_schools_own_steps_are_in_it(settings: Settings) -> None:
    """S-59: what people had to do, and whether they did, stands in the case's file."""
    with Book(settings.state).writing() as db:
        values = (1, "x", "x", "Tell the class teacher", "", "W:502", "done", "mrs.head", 0.0, "")
        db.execute(
            """INSERT INTO task (episode, incident, step, title, help, source, state, by, at, reason)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            values,
        )
    rows = seen(case_files.case(settings, "A-00001", NOW).files, "done.csv")
    assert ("task: Tell the class teacher", "done") in {(row["what"], row["text"]) for row in rows}


def test_notes_are_text_to_a_spreadsheet(settings: Settings) -> None:
    """What staff or pupils wrote runs nowhere."""
    assert seen(case_files.case(settings, "A-00001", NOW).files, "done.csv")[0]["text"].startswith("'=")


def test_a_wrong_reference_is_told(settings: Settings) -> None:
    """A slip in a reference exports nobody else's case."""
    with pytest.raises(AlertsError, match="there is no case"):
        case_files.case(settings, "A-00009", NOW)
    assert Book(settings.state).path.exists()
