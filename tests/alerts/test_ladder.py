"""Who is told, and who is told next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.alerts import ladder, outbox, recipients
from appliance.alerts.cases import acknowledge
from appliance.alerts.ladder import Directory
from appliance.alerts.redact import Pulse, Trouble
from appliance.alerts.wording import words
from appliance.model.alerting import OutOfHours
from appliance.model.timetable import Timetable, When, Window
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

NOW = MONDAY.timestamp()
LONDON = ZoneInfo("Europe/London")
HOURS = Timetable(
    "attended", (Window(frozenset(range(5)), time(7, 30), time(17, 30)),), When.ALWAYS, (), LONDON
)
NEVER = Timetable("never", (Window(frozenset(), time(7, 30), time(17, 30)),), When.ALWAYS, (), LONDON)


def test_who_does_not_answer_is_followed_by_the_next(tmp_path: Path) -> None:
    """A lead who is ill must not be the end of it: then the deputy, then the head (A6)."""
    made = book(tmp_path, DSL, DEPUTY, HEAD)
    happen(made, rules(), sighting())
    assert later(made, 29) == []
    assert later(made, 30) == [("A-00001", "escalated", "deputy")]
    assert later(made, 60) == [("A-00001", "escalated", "head")]
    assert later(made, 6_000) == []


def test_who_acknowledges_ends_the_calling(tmp_path: Path) -> None:
    """Nobody is called in the evening for what somebody looks after already."""
    made = book(tmp_path, DSL, DEPUTY)
    happen(made, rules(), sighting())
    with made.writing() as db:
        acknowledge(db, "a-1", "dsl", NOW)
    assert later(made, 300) == []


def test_an_unconfirmed_address_gets_nothing_and_the_next_role_does(tmp_path: Path) -> None:
    """A typing error in an address must not send a child's case to a stranger (GAI-4)."""
    made = book(tmp_path, DEPUTY)
    assert happen(made, rules(), sighting()) == [("A-00001", "alert", "deputy")]


def test_what_has_nobody_to_go_to_waits_and_goes_out_with_the_first_confirmation(tmp_path: Path) -> None:
    """An alert of the first day must not be lost because nobody had followed the link yet."""
    made = book(tmp_path)
    assert happen(made, rules(), sighting()) == []
    with made.writing() as db:
        recipients.ask(db, [DSL], "", NOW, lambda: "b" * 26)
        recipients.confirm(db, DIRECTORY.addresses, "b" * 26, NOW + 60)
    assert later(made, 1) == [("A-00001", "alert", "dsl")]


def test_out_of_hours_waits_for_the_morning_where_the_rule_says_so(tmp_path: Path) -> None:
    """Gambling at midnight is for the morning; self-harm at midnight is for now."""
    made = book(tmp_path, DSL)
    waiting = rules(rule(out_of_hours=OutOfHours.WAIT), hours=HOURS)
    assert happen(made, waiting, sighting(minutes=12 * 60)) == []  # Monday 22:15
    assert later(made, 21 * 60) == []
    assert later(made, 21.5 * 60) == [("A-00001", "alert", "dsl")]  # Tuesday 07:45
    now = rules(rule(), hours=HOURS)
    assert happen(made, now, sighting(1, "gambling", minutes=36 * 60)) == [("A-00002", "alert", "dsl")]


def test_a_waiting_alert_goes_out_after_three_days_whatever_the_hours_say(tmp_path: Path) -> None:
    """The summer holidays must not bury an alert for six weeks."""
    made = book(tmp_path, DSL)
    never = rules(rule(out_of_hours=OutOfHours.WAIT), hours=NEVER)
    assert happen(made, never, sighting()) == []
    assert later(made, 3 * 24 * 60) == [("A-00001", "alert", "dsl")]


def test_the_sign_of_life_goes_out_once_a_day_and_holds_numbers(tmp_path: Path) -> None:
    """Silence means silence: who gets no mail at all knows that something is wrong."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    with made.writing() as db:
        assert ladder.heartbeat(db, DIRECTORY, "2026-11-23", NOW)
        assert not ladder.heartbeat(db, DIRECTORY, "2026-11-23", NOW + 60)
        assert ladder.heartbeat(db, DIRECTORY, "2026-11-24", NOW + 86_400)
        pulses = [letter.message for letter in outbox.due(db, NOW + 86_400, "https://x.example/")][1:]
    assert pulses[0] == Pulse(MONDAY, 1, 1, 0)
    assert len(pulses) == 2


def test_what_cannot_be_delivered_is_told_by_every_other_way_once_an_hour(tmp_path: Path) -> None:
    """A mail server that is down must not be the one that has to tell of it."""
    made = book(tmp_path, "it@school.example")
    there = Directory({}, ("it@school.example",), (("syslog", "syslog"),), (("webhook", "am"),))
    with made.writing() as db:
        for moment in (NOW, NOW + 60):
            ladder.trouble(db, there, "mail", moment)
        letters = outbox.due(db, NOW + 60, "https://x.example/")
        assert [(letter.channel, letter.message) for letter in letters] == [
            ("syslog", Trouble(MONDAY, "mail", 0)),
            ("webhook", Trouble(MONDAY, "mail", 0)),
        ]
        ladder.trouble(db, there, "webhook", NOW + 60)
        assert [letter.channel for letter in outbox.due(db, NOW + 60, "https://x.example/")][2:] == [
            "mail",
            "syslog",
        ]


def test_a_test_goes_to_everybody_confirmed_or_not(tmp_path: Path) -> None:
    """The button shows each way that there is, above all the one that does not work."""
    made = book(tmp_path)
    with made.writing() as db:
        assert ladder.test(db, DIRECTORY, NOW) == 3


def test_where_nothing_is_delivered_nothing_is_told_later_either(tmp_path: Path) -> None:
    """A school that switches alerts on gets those from now on, not a term's worth at once."""
    made = book(tmp_path, DSL)
    happen(made, rules(rule(out_of_hours=OutOfHours.WAIT), hours=NEVER), sighting())
    with made.writing() as db:
        ladder.drop(db)
    assert later(made, 10_000) == []


def test_a_clock_that_was_far_ahead_leaves_nothing_waiting_for_years(tmp_path: Path) -> None:
    """A box without a battery starts in whatever year it likes."""
    made = book(tmp_path, DSL, DEPUTY)
    happen(made, rules(), sighting(), now=MONDAY + timedelta(days=3_650))
    assert later(made, 1) == [("A-00001", "escalated", "deputy")]
    with made.reading() as db:
        assert len(outbox.due(db, NOW + 60, "https://x.example/")) == 2


def test_a_clock_that_is_set_back_or_forward_ends_no_calling(tmp_path: Path) -> None:
    """An hour back costs one rule's time at most; a day ahead calls the next at once, and nobody twice."""
    made = book(tmp_path, DSL, DEPUTY, HEAD)
    happen(made, rules(), sighting())
    assert later(made, -60) == []
    assert later(made, -31) == []
    assert later(made, -30) == [("A-00001", "escalated", "deputy")]
    assert later(made, 24 * 60) == [("A-00001", "escalated", "head")]
    assert later(made, 0) == later(made, 24 * 60) == []


def test_the_night_of_the_clock_change_neither_skips_nor_doubles_the_morning(tmp_path: Path) -> None:
    """What waits for 07:30 is told at 07:30 by the school's clock, whatever UTC says that day."""
    made = book(tmp_path, DSL)
    waiting = rules(rule(out_of_hours=OutOfHours.WAIT), hours=HOURS)
    for number, friday in (
        (1, datetime(2027, 3, 26, 20, 0, tzinfo=UTC)),
        (2, datetime(2027, 10, 29, 20, 0, tzinfo=UTC)),
    ):
        assert happen(made, waiting, sighting(number, at=friday), now=friday) == []
        morning = datetime.combine(friday.date() + timedelta(days=3), time(7, 30), LONDON)
        told = [("A-0000" + str(number), "alert", "dsl")]
        assert happen(made, waiting, now=morning - timedelta(minutes=1)) == []
        # The wait is in steps of five minutes from the moment that it began.
        assert happen(made, waiting, now=morning + timedelta(minutes=5)) == told


def test_that_nobody_has_confirmed_is_told_by_every_way_there_is(tmp_path: Path) -> None:
    """An alert with nobody to go to must not wait in silence; once a day is enough to be told of it."""
    made = book(tmp_path, "it@school.example")
    there = replace(DIRECTORY, technicians=("it@school.example",), alarms=(("webhook", "am"),))
    happen(made, rules(), sighting())
    with made.writing() as db:
        for seconds in (31, 62, 7_200):
            ladder.tell(db, there, NOW + seconds)
        letters = outbox.due(db, NOW + 7_200, "")
    assert [(each.address, each.message) for each in letters] == [
        ("it@school.example", Trouble(MONDAY + timedelta(seconds=31), "nobody", 1)),
        ("am", Trouble(MONDAY + timedelta(seconds=31), "nobody", 1)),
    ]


def test_whoever_confirmed_hears_once_that_a_report_is_there(tmp_path: Path) -> None:
    """S-46: the role hears of each report, nobody hears twice, and nobody who did not confirm."""
    made = book(tmp_path, DSL)
    with made.writing() as db:
        assert ladder.ready(db, DIRECTORY, ("dsl", "head", "nobody"), "weekly-2026-11-20", 0.0) == 1
        assert ladder.ready(db, DIRECTORY, ("dsl",), "weekly-2026-11-20", 99.0) == 0
        (letter,) = outbox.due(db, 100.0, "")
    assert (letter.address, str(letter.message.at.date())) == (DSL, "1970-01-01")
    assert words(letter.message).subject == "The weekly report is ready"


def test_a_granter_hears_of_each_report_once_without_confirming(tmp_path: Path) -> None:
    """S-23: a mail that says a number alone needs no question before it."""
    made = book(tmp_path)
    with made.writing() as db:
        assert ladder.reported(db, "mrs.jones@school.example", 12, 0.0)
        assert not ladder.reported(db, "mrs.jones@school.example", 12, 99.0)
        assert ladder.reported(db, "mrs.jones@school.example", 13, 99.0)
        first, _ = outbox.due(db, 100.0, "")
    assert words(first.message).subject == "The report of override 12 is ready"
