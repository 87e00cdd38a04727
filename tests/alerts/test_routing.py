"""What each condition of a rule means."""

from __future__ import annotations

from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from appliance.alerts.routing import LONGEST_WAIT, fits, level, send_at
from appliance.model.alerting import AlertRule, OutOfHours, Who
from appliance.model.category import Risk, Severity
from appliance.model.timetable import Timetable, When, Window
from appliance.policy.schedule import within
from tests.doubles.alerts import HARM, MONDAY, rule, rules, sighting

LONDON = ZoneInfo("Europe/London")
MORNING = Timetable("m", (Window(frozenset(range(5)), time(8), time(12)),), When.ALWAYS, (), LONDON)
EVENING = Timetable("e", (Window(frozenset(range(5)), time(18), time(22)),), When.ALWAYS, (), LONDON)


class Past:
    """Two sightings, one episode, for the first time."""

    def sightings(self, minutes: int) -> int:
        return 2 if minutes >= 10 else 1

    def episodes(self, days: int, least: Severity) -> int:
        del least
        return 2 if days >= 7 else 1

    def first(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (rule(), True),
        (rule(themes=frozenset({"self_harm"})), True),
        (rule(themes=frozenset({"gambling"})), False),
        (rule(categories=frozenset({"self_harm"})), True),
        (rule(categories=frozenset({"drugs"})), False),
        (rule(risks=frozenset({Risk.CONTENT})), True),
        (rule(risks=frozenset({Risk.CONTACT})), False),
        (rule(groups=frozenset({"ks2"})), True),
        (rule(groups=frozenset({"ks3"})), False),
        (rule(who=Who.PUPILS), True),
        (rule(who=Who.ADULTS), False),
        (rule(least=Severity.HIGH), True),
        (rule(least=Severity.CRITICAL), False),
        (rule(times=MORNING), True),
        (rule(times=EVENING), False),
        (rule(count=2, within_minutes=10), True),
        (rule(count=2, within_minutes=9), False),
        (rule(episodes=2, within_days=7), True),
        (rule(episodes=3, within_days=7), False),
        (rule(first_time=True), False),
    ],
)
def test_every_condition_counts(one: AlertRule, wanted: bool) -> None:
    """A condition that is not asked is one that a school relies on in vain."""
    assert fits(one, sighting(), HARM, rules(), Past(), within) is wanted


def test_an_adult_is_who_has_a_profile_for_adults() -> None:
    """What a teacher looks up for a lesson is not told as a pupil's."""
    adult = sighting(group="staff")
    assert fits(rule(who=Who.ADULTS), adult, HARM, rules(), Past(), within)
    assert not fits(rule(who=Who.PUPILS), adult, HARM, rules(), Past(), within)


def test_a_rule_can_say_more_than_the_category() -> None:
    """Persistence makes serious what a single visit is not."""
    assert level(rule(), sighting(severity=Severity.LOW)) is Severity.LOW
    assert level(rule(severity=Severity.CRITICAL), sighting(severity=Severity.LOW)) is Severity.CRITICAL
    assert level(rule(severity=Severity.LOW), sighting(severity=Severity.HIGH)) is Severity.HIGH


def test_an_alert_waits_only_where_the_rule_lets_it_and_never_for_long() -> None:
    """Out of hours is no reason to be late with what cannot wait."""
    waiting = rule(out_of_hours=OutOfHours.WAIT)
    assert send_at(rule(), EVENING, MONDAY, within) == MONDAY
    assert send_at(waiting, None, MONDAY, within) == MONDAY
    assert send_at(waiting, MORNING, MONDAY, within) == MONDAY
    assert send_at(waiting, EVENING, MONDAY, within) == MONDAY.replace(hour=18, minute=0)
    friday = MONDAY + timedelta(days=4, hours=13)
    assert send_at(waiting, MORNING, friday, within) == MONDAY.replace(hour=8, minute=0) + timedelta(days=7)
    never = Timetable("n", (), When.ALWAYS, (), LONDON)
    assert send_at(waiting, never, MONDAY, within) == MONDAY + LONGEST_WAIT
