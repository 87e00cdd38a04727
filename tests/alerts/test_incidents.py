"""Cases in hand, their tasks, and how they are handed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.alerts import incidents
from appliance.alerts.book import AlertsError, Book
from appliance.alerts.cases import Case, acknowledge, close, find, forget, judge, note, notes
from appliance.alerts.incidents import clear, done, hand_over, may_see, not_needed, take, tasks
from appliance.model.alerting import Alerting
from tests.doubles.alerts import (
    DEPUTY,
    DIRECTORY,
    DSL,
    HEAD,
    MONDAY,
    book,
    happen,
    later,
    rule,
    rules,
    sighting,
)
from tests.doubles.casework import OTHER, ROW

NOW = MONDAY.timestamp()


@pytest.fixture
def made(tmp_path: Path) -> Book:
    there = book(tmp_path, DSL, DEPUTY, HEAD)
    happen(there, rules(), sighting())
    return there


def test_a_row_becomes_its_tasks_once_and_a_second_row_adds_what_is_new(made: Book) -> None:
    """B2: exactly the ticks of the school's table, as they stood when it was taken."""
    with made.writing() as db:
        take(db, "1", "lead", NOW, ROW)
        take(db, "1", "lead", NOW + 1, ROW)
        assert [(t.title, t.state) for t in tasks(db, 1)] == [
            ("Refer to the Headteacher", "open"),
            ("Inform the parents", "held"),
        ]
        take(db, "1", "lead", NOW + 2, OTHER)
        assert [t.title for t in tasks(db, 1)][2:] == ["Give a warning"]
        assert find(db, "1").state == "in hand"
        assert find(db, "1").holder == "lead"


def test_nothing_is_told_or_done_by_taking_a_row(made: Book) -> None:
    """No parent is told, nobody is sanctioned: a task is a line in a list, until a person does it."""
    with made.writing() as db:
        before = db.execute("SELECT count(*) FROM outbox").fetchone()
        take(db, "1", "lead", NOW, ROW)
        assert db.execute("SELECT count(*) FROM outbox").fetchone() == before
        assert {t.state for t in tasks(db, 1)} == {"open", "held"}
    assert later(made, 600) == []


def test_a_held_task_waits_until_it_is_cleared(made: Book) -> None:
    """Home may be where the danger is: parents are told when somebody who knows has said so (S-55)."""
    with made.writing() as db:
        take(db, "1", "deputy", NOW, ROW)
        with pytest.raises(AlertsError, match="held until the safeguarding lead"):
            done(db, "1", 2, "deputy", NOW)
        clear(db, "1", 2, "lead", NOW)
        with pytest.raises(AlertsError, match="not held"):
            clear(db, "1", 2, "lead", NOW)
        done(db, "1", 2, "deputy", NOW)
        with pytest.raises(AlertsError, match="is done already, by deputy"):
            not_needed(db, "1", 2, "lead", "late", NOW)
        with pytest.raises(AlertsError, match="say why"):
            not_needed(db, "1", 1, "lead", " \n", NOW)
        not_needed(db, "1", 1, "lead", "the Head was there", NOW)
        assert [(t.state, t.by) for t in tasks(db, 1)] == [("not needed", "lead"), ("done", "deputy")]
        assert "not needed: Refer to the Headteacher (the Head was there)" in [
            text for _, _, text in notes(db, 1)
        ]
        with pytest.raises(AlertsError, match="no task 9"):
            done(db, "1", 9, "lead", NOW)


def test_a_case_with_open_tasks_is_not_closed_and_a_closed_one_is_not_worked_on(made: Book) -> None:
    """DFE-M3: action and outcome are on record, and what is over stays as it was."""
    with made.writing() as db:
        take(db, "1", "lead", NOW, ROW)
        with pytest.raises(AlertsError, match="2 open tasks"):
            close(db, "1", "lead", "done", NOW)
        for number in (1, 2):
            not_needed(db, "1", number, "lead", "a mistake", NOW)
        with pytest.raises(AlertsError, match="what came of it"):
            close(db, "1", "lead", " ", NOW)
        close(db, "1", "lead", "a mistake", NOW)
        for act in (
            lambda: close(db, "1", "deputy", "other", NOW),
            lambda: take(db, "1", "deputy", NOW, ROW),
            lambda: hand_over(db, "1", "deputy", "deputy", NOW, DIRECTORY),
            lambda: done(db, "1", 1, "deputy", NOW),
            lambda: acknowledge(db, "1", "deputy", NOW),
        ):
            with pytest.raises(AlertsError, match="closed already, by lead"):
                act()
        assert find(db, "1").outcome == "a mistake"


def test_what_gets_worse_is_open_again_though_somebody_has_it_in_hand(made: Book) -> None:
    """A case in hand for gambling that becomes something graver must call somebody again."""
    with made.writing() as db:
        take(db, "1", "lead", NOW, ROW)
        with pytest.raises(AlertsError, match="in hand already, with lead"):
            acknowledge(db, "1", "deputy", NOW)
    grave = rules(rule(severity=None), rule("graver", severity=4, count=2, within_minutes=30))
    assert happen(made, grave, sighting(2, minutes=5)) == [("A-00001", "alert", "dsl")]
    with made.reading() as db:
        assert find(db, "1").state == "open"
        assert len(tasks(db, 1)) == 2


def test_who_is_handed_a_case_is_told_and_if_they_do_not_answer_the_others_are(made: Book) -> None:
    """A case must not lie between two people who each think that the other has it."""
    with made.writing() as db:
        acknowledge(db, "1", "lead", NOW)
        hand_over(db, "1", "deputy", "lead", NOW, DIRECTORY)
        told = db.execute("SELECT what, address FROM outbox ORDER BY id DESC LIMIT 1").fetchone()
        assert told == ("handed", DEPUTY)
        hand_over(db, "1", "deputy", "lead", NOW + 1, DIRECTORY)
    assert later(made, 59) == []
    assert [to for _, _, to in later(made, 61)] == ["dsl"]


def test_nothing_is_handed_to_whoever_cannot_be_told(tmp_path: Path) -> None:
    """A role in which nobody has confirmed would be the end of the case."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    with made.writing() as db:
        with pytest.raises(AlertsError, match="nobody who is deputy has confirmed"):
            hand_over(db, "1", "deputy", "lead", NOW, DIRECTORY)
        assert hand_over(db, "1", "deputy", "lead", NOW, None).number == 1  # where nobody is told of anything


def test_a_case_is_for_the_roles_that_were_told_and_never_for_whom_it_is_about(tmp_path: Path) -> None:
    """Need to know: and whoever has no role sees nothing."""
    made = book(tmp_path, DSL)
    happen(made, rules(rule(tell=("dsl", "head"))), sighting(who="Ada Lead"))
    with made.reading() as db:
        found: Case = find(db, "1")
        for roles, name, fits in (
            ({"dsl"}, "m.lead", True),
            ({"head", "x"}, "h", True),
            ({"deputy"}, "d", False),
            (set(), "h", False),
            ({"dsl"}, "ADA lead", False),
        ):
            assert may_see(db, found, frozenset(roles), name) is fits


def test_a_rule_that_is_edited_away_leaves_a_case_with_whom_it_was_for(made: Book) -> None:
    """An edit of alerts.yaml while a case is open gives it to nobody else, and loses nothing."""
    edited: Alerting = rules(rule("other", tell=("head",), themes=frozenset({"gambling"})))
    happen(made, edited, sighting(3, minutes=3))
    with made.writing() as db:
        assert incidents.readers(db, 1) == ("deputy", "dsl", "head")
        assert find(db, "1").count == 2
        judge(db, "1", useful=False)
        take(db, "1", "lead", NOW)
    themeless = replace(edited, themes={})
    happen(made, themeless, sighting(4, minutes=4))
    with made.reading() as db:
        assert (find(db, "1").title, find(db, "1").state) == ("Self-harm and suicide", "in hand")


@pytest.mark.parametrize(
    "text",
    ["<b>x</b>", "\x00\x1b[31m", "\udcff half", "你好 🫖 \u202e", "y" * 100_000, "a\r\nBcc: b@c.example"],
)
def test_a_note_of_any_kind_is_kept_as_text(made: Book, text: str) -> None:
    """What somebody pastes must not break the book, nor fill it."""
    with made.writing() as db:
        note(db, "1", "lead", text, NOW)
        ((_, _, kept),) = notes(db, 1)
        assert 0 < len(kept) <= 4_000
        kept.encode()
        assert "\0" not in kept


def test_what_is_forgotten_is_forgotten_whole(made: Book) -> None:
    """Retention leaves no task, no reader and no note of a case that is gone (DP-2)."""
    with made.writing() as db:
        take(db, "1", "lead", NOW, ROW)
        for number in (1, 2):
            not_needed(db, "1", number, "lead", "x", NOW)
        close(db, "1", "lead", "x", NOW)
        assert forget(db, NOW + 500 * 86_400, 400 * 86_400, frozenset()) == 1
        for table in ("task", "reader", "note", "hit", "fired"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608 - our own tables
