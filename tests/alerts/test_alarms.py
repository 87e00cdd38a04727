"""A gate that closed: told once, to the technicians, and once more when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.alerts import alarms, outbox
from appliance.alerts.book import Book
from appliance.alerts.ladder import Directory
from appliance.alerts.redact import Alarm
from appliance.alerts.wording import words
from appliance.model.alerting import Sighting
from appliance.model.decision import FAULTS
from tests.doubles.alerts import MONDAY, book, sighting

NOW = MONDAY.timestamp()
IT = "it@school.example"
THERE = Directory({"dsl": ("dsl@school.example",)}, (IT,), alarms=(("webhook", "am"),))


def refused(number: int, reason: str = "floor_unavailable", seconds: float = 0) -> Sighting:
    return replace(
        sighting(number, category="", minutes=seconds / 60),
        reason=reason,
        at=datetime.fromtimestamp(NOW + seconds, UTC),
    )


def pass_by(
    made: Book, seconds: float, *numbers: int, directory: Directory = THERE
) -> list[tuple[str, Alarm]]:
    """Let requests be refused after `seconds`, tell of it, and return whom what was told."""
    with made.writing() as db:
        before = db.execute("SELECT coalesce(max(id), 0) FROM outbox").fetchone()[0]
        seen = [refused(number, seconds=seconds) for number in numbers]
        alarms.take(db, seen, NOW + seconds)
        alarms.tell(db, directory, NOW + seconds)
        letters = [letter for letter in outbox.due(db, NOW + seconds, "") if letter.id > before]
    return [(letter.address, letter.message) for letter in letters if isinstance(letter.message, Alarm)]


@pytest.mark.slow
def test_a_closed_gate_is_told_once_and_its_end_as_well(tmp_path: Path) -> None:
    """A thousand pupils who find everything closed are one mail, and not a thousand."""
    made = book(tmp_path, IT)
    began = pass_by(made, 0, 1, 2, 3)
    assert [to for to, _ in began] == [IT, "am"]
    assert began[0][1] == Alarm(MONDAY, "floor", 3, over=False)
    assert pass_by(made, 60, *range(10, 400)) == []
    assert pass_by(made, 600) == []
    over = pass_by(made, 661)
    assert [(to, one.over, one.count) for to, one in over] == [(IT, True, 393), ("am", True, 393)]
    assert pass_by(made, 2_000) == []
    assert [one.over for _, one in pass_by(made, 3_000, 500)] == [False, False]


def test_one_slow_moment_is_no_closed_gate(tmp_path: Path) -> None:
    """A technician who is told of every hiccup reads none of it; what goes on is told."""
    made = book(tmp_path, IT)

    def slow(seconds: float, *numbers: int) -> int:
        with made.writing() as db:
            alarms.take(db, [refused(n, "deadline", seconds) for n in numbers], NOW + seconds)
            return alarms.tell(db, THERE, NOW + seconds)

    assert [slow(0, 1), slow(700), slow(800, 2, 3, 4), slow(900, 5), slow(1_000, 6), slow(1_700)] == [
        0, 0, 0, 0, 2, 2,
    ]  # fmt: skip


def test_every_fault_that_closes_the_gate_has_a_kind_with_words() -> None:
    """A new way to fail must not be told to nobody."""
    assert set(alarms.KINDS) == {reason.value for reason in FAULTS}
    for kind in alarms.KINDS.values():
        for over in (False, True):
            assert words(Alarm(MONDAY, kind, 3, over)).subject


def test_while_no_technician_has_confirmed_it_waits_and_is_told_later(tmp_path: Path) -> None:
    """The first morning of a new gateway is when it goes wrong."""
    made = book(tmp_path)
    alone = replace(THERE, alarms=())
    assert pass_by(made, 0, 1, directory=alone) == []
    assert pass_by(made, 3_000, directory=alone) == []
    with made.writing() as db:
        db.execute("INSERT INTO recipient VALUES (?, 0, 0)", (IT,))
        (closed,) = alarms.closed(db)
        assert (closed.kind, closed.count) == ("floor", 1)
    assert [one.over for _, one in pass_by(made, 3_600, directory=alone)] == [False, True]


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_ends_an_alarm_and_no_more(tmp_path: Path, seconds: float) -> None:
    """A clock that is put right in the middle of it must not keep an alarm for ever, nor tell each second."""
    made = book(tmp_path, IT)
    pass_by(made, 0, 1)
    with made.writing() as db:
        first = alarms.tell(db, THERE, NOW + seconds)
        assert (first, alarms.tell(db, THERE, NOW + seconds), alarms.closed(db)) == (2, 0, ())


def test_what_was_refused_long_ago_or_is_met_again_begins_nothing(tmp_path: Path) -> None:
    """A log that is read again after a restore tells of no fault of last week."""
    made = book(tmp_path, IT)
    with made.writing() as db:
        known = refused(2)
        db.execute("INSERT INTO seen VALUES (?, 0)", (known.key,))
        alarms.take(db, [refused(1, seconds=-90_000), known, sighting(3)], NOW)
        assert alarms.closed(db) == ()


def test_where_nobody_is_told_of_anything_it_is_forgotten_when_it_is_over(tmp_path: Path) -> None:
    """Delivery that is switched on next term begins with what is, and not with what was."""
    made = book(tmp_path, IT)
    with made.writing() as db:
        alarms.take(db, [refused(1)], NOW)
        alarms.drop(db, NOW + 60)
        assert len(alarms.closed(db)) == 1
        alarms.drop(db, NOW + 601)
        assert alarms.closed(db) == ()
