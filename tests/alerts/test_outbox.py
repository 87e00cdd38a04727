"""What waits, how long, and under which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.alerts import outbox
from appliance.alerts.book import Book
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Notice, What
from tests.doubles.alerts import DEPUTY, DSL, MONDAY, book, happen, later, rules, sighting

NOW = MONDAY.timestamp()
BASE = "https://school.example/cases/"


def due(made: Book, seconds: float) -> list[Letter]:
    with made.reading() as db:
        return outbox.due(db, NOW + seconds, BASE)


def test_a_message_is_there_once_however_often_it_is_put_in(tmp_path: Path) -> None:
    """A keeper that starts again must not tell the lead twice."""
    made = book(tmp_path)
    with made.writing() as db:
        added = [outbox.add(db, "alert|1|3", What.TEST, ("mail", to), NOW) for to in (DSL, DSL, DEPUTY)]
    assert added == [True, False, True]
    assert len({letter.digest for letter in due(made, 0)}) == 2


def test_a_notice_holds_the_case_and_its_link(tmp_path: Path) -> None:
    """What is sent is made from the episode, with nothing of the person in it."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    (letter,) = due(made, 0)
    assert isinstance(letter.message, Notice)
    assert (letter.message.case, letter.message.link) == ("A-00001", f"{BASE}A-00001")
    assert "Ada" not in repr(letter)


def test_each_failure_waits_longer_and_a_success_frees_the_rest(tmp_path: Path) -> None:
    """A server that is down for a day is asked a hundred times, not a hundred thousand."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting(), sighting(1, "gambling"))
    first, second = due(made, 0)
    with made.writing() as db:
        assert not outbox.failed(db, first, "down", NOW, final=False)
        assert outbox.next_try(db) == NOW + 10
    assert due(made, 9) == []
    retried = due(made, 10)
    with made.writing() as db:
        outbox.failed(db, retried[0], "down", NOW + 10, final=False)
        assert outbox.next_try(db) == NOW + 30
        outbox.sent(db, retried[0], NOW + 12)
    assert [letter.id for letter in due(made, 12)] == [second.id]


def test_what_was_taken_is_counted_by_test_and_by_day(tmp_path: Path) -> None:
    """A report says of each test and each sign of life whether everybody got it."""
    made = book(tmp_path)
    with made.writing() as db:
        for name, to in (("heartbeat|2026-11-23", DSL), ("heartbeat|2026-11-23", DEPUTY), ("test|1.5", DSL)):
            outbox.add(db, name, What.HEARTBEAT, ("mail", to), NOW)
        db.execute("UPDATE outbox SET state = 'sent' WHERE address = ?", (DSL,))
        found = outbox.taken(db, What.HEARTBEAT, NOW, NOW + 1)
        assert outbox.taken(db, What.HEARTBEAT, NOW + 1, NOW + 2) == []
    assert found == [("heartbeat|2026-11-23", 2, 1), ("test|1.5", 1, 1)]


@pytest.mark.slow
def test_a_day_without_a_server_is_survived_and_four_days_are_told(tmp_path: Path) -> None:
    """Nothing is given up on a Friday evening; what is given up for good is never silent."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    told = []
    for hour in range(80):
        for letter in due(made, hour * 3_600):
            with made.writing() as db:
                told.append((hour, outbox.failed(db, letter, "down", NOW + hour * 3_600, final=False)))
    assert [hour for hour, troubled in told if troubled] == [3, 73]
    with made.reading() as db:
        assert db.execute("SELECT state FROM outbox").fetchall() == [("given up",)]


def test_a_refusal_calls_the_next_role_at_once(tmp_path: Path) -> None:
    """A mailbox that is gone must not cost the time of the ladder."""
    made = book(tmp_path, DSL, DEPUTY)
    happen(made, rules(), sighting())
    (letter,) = due(made, 0)
    with made.writing() as db:
        assert outbox.failed(db, letter, "550 gone", NOW, final=True)
    assert later(made, 0.1) == [("A-00001", "escalated", "deputy")]


def test_what_a_mailbox_refused_is_tried_again_when_it_takes_something(tmp_path: Path) -> None:
    """A mailbox that is full, or a server set wrong for a day, says "never" as well: no alert is lost."""
    made = book(tmp_path, DSL, DEPUTY)
    happen(made, rules(), sighting())
    with made.writing() as db:
        outbox.failed(db, outbox.due(db, NOW, BASE)[0], "552 full", NOW, final=True)
        outbox.add(db, "test|x", What.TEST, ("mail", DEPUTY), NOW)
        outbox.sent(db, outbox.due(db, NOW + 9, BASE)[0], NOW + 9)
        assert outbox.due(db, NOW + 9, BASE) == []
        for _ in range(20):  # what is refused for what it says is not sent for ever
            outbox.add(db, f"test|{_}", What.TEST, ("mail", DSL), NOW + 20)
            for letter in outbox.due(db, NOW + 20, BASE):
                if letter.what is What.TEST:
                    outbox.sent(db, letter, NOW + 20)
                else:
                    outbox.failed(db, letter, "550 no", NOW + 20, final=True)
        assert db.execute("SELECT tries FROM outbox WHERE what = 'alert'").fetchone()[0] == 10
        db.execute("UPDATE outbox SET tries = 1 WHERE what = 'alert'")
        db.execute("UPDATE episode SET state = 'closed'")
        outbox.add(db, "test|y", What.TEST, ("mail", DSL), NOW + 30)
        outbox.sent(db, outbox.due(db, NOW + 30, BASE)[-1], NOW + 30)
        assert outbox.due(db, NOW + 30, BASE) == []


def test_what_only_the_recipient_may_know_is_not_kept_once_it_was_sent(tmp_path: Path) -> None:
    """A token in the database would let whoever reads it confirm for others."""
    made = book(tmp_path)
    with made.writing() as db:
        body: dict[str, str | int] = {"token": "a" * 26, "link": ""}
        outbox.add(db, "confirm", What.CONFIRM, ("mail", DSL), NOW, body=body)
        outbox.sent(db, outbox.due(db, NOW, "")[0], NOW)
        assert "aaaa" not in str(db.execute("SELECT * FROM outbox").fetchall())
