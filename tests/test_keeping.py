"""From the log to the book of alerts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.alerts.book import AlertsError, Book
from appliance.alerts.episodes import Means
from appliance.events.following import Following
from appliance.events.record import from_access, from_review
from appliance.events.spill import Spill
from appliance.events.store import DATABASE, SPILL
from appliance.events.writer import Writer
from appliance.keeping import Keeping, Telling
from appliance.model.category import Severity
from appliance.model.decision import Reason
from appliance.model.event import ReviewRequest
from appliance.policy.schedule import within
from tests.doubles.alerts import DIRECTORY, DSL, book, rules
from tests.doubles.events import ALLOWED, BLOCKED, FLOOR, PUPIL, START, access

UPSET = "I saw something that upset me."
HARM = replace(BLOCKED, category="self_harm", severity=Severity.CRITICAL)


def keeping(state: Path, *, deliver: bool = True) -> Keeping:
    telling = Telling(DIRECTORY, deliver)
    means = Means(rules(), within)
    return Keeping(Following(state), Book(state), lambda: means, telling, frozenset({UPSET}), START.timestamp)


def told(made: Book) -> list[tuple[int, str]]:
    with made.reading() as db:
        return list(db.execute("SELECT episode, address FROM outbox"))


async def write(state: Path, *numbers: int) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(number, HARM)) for number in numbers])
    await writer.close()


async def test_a_flagged_row_becomes_a_message(tmp_path: Path) -> None:
    """Read, judged, kept and told in one step."""
    made = book(tmp_path, DSL)
    await write(tmp_path, 1, 2)
    one = keeping(tmp_path)
    assert not await one.look()
    assert told(made) == [(1, DSL)]
    assert await one.tell() == 0
    await one._following.close()


async def test_a_keeper_that_starts_anew_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was told is not told again, and what came meanwhile is."""
    made = book(tmp_path, DSL)
    await write(tmp_path, 1)
    first = keeping(tmp_path)
    await first.look()
    await first._following.close()
    await write(tmp_path, 2)
    second = keeping(tmp_path)
    await second.look()
    await second._following.close()
    assert told(made) == [(1, DSL)]
    with made.reading() as db:
        assert db.execute("SELECT count FROM episode").fetchall() == [(2,)]


async def test_a_closed_gate_is_a_technicians_alarm_and_nobodys_case(tmp_path: Path) -> None:
    """What a lost statutory list refuses is told once, and read again it is told no second time."""
    made = book(tmp_path, "it@school.example")
    closed = replace(BLOCKED, reason=Reason.FLOOR_UNAVAILABLE, category="", severity=Severity.LOW)
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(number, closed, at=START)) for number in range(20)])
    await writer.close()
    telling = Telling(replace(DIRECTORY, technicians=("it@school.example",)), deliver=True)
    means = Means(rules(), within)
    one = Keeping(
        Following(tmp_path), Book(tmp_path), lambda: means, telling, frozenset({UPSET}), START.timestamp
    )
    await one.look()
    one._place = None
    with made.writing() as db:
        db.execute("DELETE FROM meta")
    await one.look()
    await one._following.close()
    with made.reading() as db:
        assert db.execute("SELECT what, address FROM outbox").fetchall() == [("alarm", "it@school.example")]
        assert db.execute("SELECT count FROM alarm").fetchall() == [(20,)]
        assert db.execute("SELECT count(*) FROM episode").fetchone() == (0,)


async def test_where_nothing_is_delivered_cases_are_kept_and_nobody_is_told(tmp_path: Path) -> None:
    """The demo and a first day show what would be told, and mail nobody."""
    made = book(tmp_path, DSL)
    await write(tmp_path, 1)
    one = keeping(tmp_path, deliver=False)
    await one.look()
    await one._following.close()
    assert told(made) == []
    with made.reading() as db:
        assert db.execute("SELECT count(*) FROM episode").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM duty").fetchone() == (0,)


async def test_what_spilled_and_could_not_be_kept_is_read_again(tmp_path: Path) -> None:
    """A book that is locked for a moment must not cost what was read meanwhile."""
    spill = Spill(tmp_path / SPILL)
    spill.append([from_access(access(1, HARM))])
    one = keeping(tmp_path)
    with pytest.raises(AlertsError):  # there is no book yet
        await one.look()
    made = book(tmp_path, DSL)
    await one.look()
    await one._following.close()
    assert told(made) == [(1, DSL)]
    spill.release()


def test_alerts_learn_who_and_what_about_and_never_where(tmp_path: Path) -> None:
    """No address, host or search term comes this far, and of a statutory hit only that it was one."""
    one = keeping(tmp_path)
    for decision in (HARM, FLOOR, ALLOWED):
        seen = one.sighting(from_access(access(1, decision)))
        assert seen is not None
        assert seen.subject == "name Ada Example"
        assert "bets.example" not in repr(seen)
        assert "odds" not in repr(seen)


def test_where_nobody_is_known_the_device_is_what_is_told(tmp_path: Path) -> None:
    """A child is never guessed; the device is known."""
    one = keeping(tmp_path)
    record = from_access(access(1, HARM, person=replace(PUPIL, name="")))
    device, address = one.sighting(record), one.sighting(record._replace(device=""))
    assert device is not None
    assert device.subject == "device ipad-014"
    assert address is not None
    assert address.subject == "address 10.4.0.14"


def test_only_what_upset_somebody_is_a_report(tmp_path: Path) -> None:
    """A block that is a mistake is for the inbox; what upset somebody is for the safeguarding lead."""
    one = keeping(tmp_path)
    review = from_review(ReviewRequest("REF-1", START, "10.4.0.14", "ks2", UPSET))
    seen = one.sighting(review)
    assert seen is not None
    assert (seen.subject, seen.report) == ("report REF-1", True)
    assert one.sighting(review._replace(message="It is for my homework")) is None
