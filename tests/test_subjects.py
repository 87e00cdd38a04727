"""Tests of one person over all rooms: all of theirs in one bundle, and an erasure that says what stays."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import subjects
from appliance.alerts import cases
from appliance.alerts.book import Book
from appliance.events.audit import Trail
from appliance.events.holds import hold, release
from appliance.events.record import from_access, from_review
from appliance.events.store import DATABASE
from appliance.events.subject import accesses
from appliance.events.writer import Writer
from appliance.identity.database import Database as People
from appliance.model.decision import NOT_SHOWN
from appliance.settings import Settings, load_settings
from tests.doubles.alerts import book, happen, rules, sighting
from tests.doubles.events import ALLOWED, BLOCKED, FLOOR, START, access, review
from tests.doubles.people import school
from tests.doubles.school import configuration

pytestmark = pytest.mark.slow  # each makes every database there is

ADA = "Ada Example"
NOW = datetime.fromtimestamp(START.timestamp() + 5 * 86_400, UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a school that knows one pupil: log, account, a case, and a look-up by the head."""
    found = load_settings(configuration(tmp_path)).settings
    made = school(found.state)
    made.add(ADA)
    asyncio.run(_write(found.state))
    happen(book(found.state), rules(), sighting(who=ADA))
    Trail(found.state).add("log-look-up", ADA, by="mr.head", at=0.0, purpose="bullying")
    Trail(found.state).add("log-look-up", "Ben Example", by="mr.head", at=0.0, purpose="drugs")
    return found


async def _write(state: Path) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    made = [access(number, decision) for number, decision in enumerate((ALLOWED, BLOCKED, FLOOR))]
    await writer.write([from_access(each) for each in made])
    await writer.write([from_review(review(1))])
    await writer.close()


def test_a_bundle_holds_all_of_one_and_nothing_of_others(settings: Settings) -> None:
    """DP-6: over every room that keeps something, in whatever spelling the name was given."""
    files = subjects.access(settings, "ada  EXAMPLE", NOW)
    rows = list(csv.DictReader(io.StringIO(files["accesses.csv"].decode("utf-8-sig"))))
    assert [row["host"] for row in rows] == ["www.bets.example", "www.bets.example", NOT_SHOWN]
    rest = json.loads(files["everything-else.json"])
    assert [case["case"] for case in rest["cases"]] == ["A-00001"]
    assert rest["people"]["account"][0]["name"] == ADA
    assert [each["message"] for each in rest["reviews"]] == ["It is for my maths homework"]
    assert [(each["what"], each["purpose"], each["by"]) for each in rest["audit"]] == [
        ("log-look-up", "bullying", subjects.SOMEBODY)
    ]
    everything = b"".join(files.values())
    assert b"mr.head" not in everything
    assert b"Ben" not in everything
    assert b"url " in files["README.txt"]


def test_a_name_is_found_as_it_is_kept_without_an_account_as_well(settings: Settings) -> None:
    """People of the school's directory have no account here: a capital letter must not hide what is kept."""
    happen(Book(settings.state), rules(), sighting(7, who="Zoë.Smith"), sighting(8, who="zoë.smith"))
    assert subjects.spellings(settings.state, "ZOE\u0308.SMITH") == ["Zoë.Smith", "zoë.smith"]
    assert subjects.spellings(settings.state, "zoë.smith") == ["zoë.smith", "Zoë.Smith"]
    assert subjects.spellings(settings.state, "ada example") == [ADA]
    assert subjects.spellings(settings.state, "Ada") == []
    rest = json.loads(subjects.access(settings, "ZOË.SMITH", NOW)["everything-else.json"])
    assert len(rest["cases"]) == 1
    asyncio.run(hold(settings.state, "zoë.smith", 0.0))
    assert subjects.erase(settings, "Zoë.Smith", "left", by="it", now=NOW).held


def test_a_file_of_an_older_release_is_no_hindrance(settings: Settings) -> None:
    """DP-6: a restore from an older backup is asked and emptied before the gateway was started once."""
    people = People(settings.state)
    for step in ("asked", "emptied"):
        with people.writing() as db:
            db.execute("DROP TABLE second_factor")
            db.execute("DROP TABLE proxy_sign_in")
            db.execute("DROP TABLE carried")
            db.execute("PRAGMA user_version = 4")
        if step == "asked":
            assert subjects.access(settings, ADA, NOW)
        else:
            assert subjects.erase(settings, ADA, "parent asked", by="office", now=NOW).gone


def test_an_erasure_says_what_went_and_what_stays(settings: Settings) -> None:
    """A parent is told the truth: the open case stays with its evidence, everything else is gone."""
    done = subjects.erase(settings, ADA, "parent asked", by="office", now=NOW)
    assert (done.gone["accesses"], done.gone["account"], done.held) == (1, 1, True)
    assert any("A-00001" in text for text in done.stays)
    with Book(settings.state).writing() as db:
        cases.close(db, "A-00001", "head", "talked", NOW.timestamp())
    done = subjects.erase(settings, ADA, "parent asked", by="office", now=NOW)
    assert (done.gone["accesses"], done.gone["cases"], done.held) == (2, 1, False)
    rest = json.loads(subjects.access(settings, ADA, NOW)["everything-else.json"])
    assert (rest["cases"], rest["reviews"], rest["people"]["account"]) == ([], [], [])


def test_the_audit_of_an_erasure_names_nobody_and_is_whole(settings: Settings) -> None:
    """Who erased, when and why can be shown; whose data it was, only to who knows name and key."""
    subjects.erase(settings, ADA, "parent asked", by="office", now=NOW)
    noted = [entry for entry in Trail(settings.state).entries() if entry["what"].startswith("erase")]
    assert [entry["what"] for entry in noted] == ["erase", "erased"]
    assert {entry["whom"] for entry in noted} == {subjects.number_of(settings.state, "ADA example")}
    assert ADA not in str(noted)
    assert len(noted[1]["digest"]) == 64


def test_a_hold_keeps_everything_in_every_room(settings: Settings) -> None:
    """S-60: while somebody is on hold an erasure takes nothing; that it was asked for is in the audit."""
    asyncio.run(hold(settings.state, ADA, 0))
    done = subjects.erase(settings, ADA, "parent asked", by="office", now=NOW)
    assert done.held
    assert not done.gone
    assert len(list(accesses(settings.state, ADA))) == 3
    assert Trail(settings.state).last("erase-refused") is not None
    asyncio.run(release(settings.state, ADA))
    assert subjects.erase(settings, ADA, "parent asked", by="office", now=NOW).gone["accesses"] > 0


def test_a_gateway_that_keeps_nothing_yet_answers(tmp_path: Path) -> None:
    """A name that nobody knows is no fault, and makes no database."""
    found = load_settings(configuration(tmp_path)).settings
    files = subjects.access(found, "Nobody", NOW)
    assert json.loads(files["everything-else.json"])["cases"] == []
    assert subjects.erase(found, "Nobody", "asked", by="office", now=NOW).gone == {}
    assert not (found.state / DATABASE).exists()
