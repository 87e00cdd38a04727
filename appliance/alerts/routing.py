"""Which rules a sighting fits, and when somebody is told. Pure: no clock, disk or network.

What lives only here: what each condition of a rule means. Counting is done elsewhere and comes as numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from appliance.model.alerting import Alerting, AlertRule, OutOfHours, Sighting, Theme, Who
from appliance.model.category import Severity
from appliance.model.timetable import Timetable

LONGEST_WAIT = timedelta(days=3)
"""However long the hours are over: an alert that waits is sent after this."""

_STEP = timedelta(minutes=5)

type Within = Callable[[Timetable, datetime], bool]
"""Whether a moment is within a timetable: `policy.schedule.within`."""


class Past(Protocol):
    """What was seen of this person before, this sighting included."""

    def sightings(self, minutes: int) -> int:
        """Return how many sightings of this theme there were in any `minutes` that hold this one."""

    def episodes(self, days: int, least: Severity) -> int:
        """Return how many episodes of any theme there were in the last `days`."""

    def first(self) -> bool:
        """Return whether this theme was never seen of this person before this episode."""


def fits(
    rule: AlertRule, sighting: Sighting, theme: Theme, alerting: Alerting, past: Past, within: Within
) -> bool:
    """Return whether `rule` is about this sighting; the cheap questions come first."""
    if rule.themes and theme.id not in rule.themes:
        return False
    if rule.categories and sighting.category not in rule.categories:
        return False
    if rule.risks and theme.risk not in rule.risks:
        return False
    if rule.groups and sighting.group not in rule.groups:
        return False
    adult = sighting.group in alerting.adults
    if rule.who is not None and (rule.who is Who.ADULTS) is not adult:
        return False
    if sighting.severity < rule.least or (rule.times and not within(rule.times, sighting.at)):
        return False
    return _often_enough(rule, past)


def _often_enough(rule: AlertRule, past: Past) -> bool:
    if rule.count > 1 and past.sightings(rule.within_minutes) < rule.count:
        return False
    if rule.episodes and past.episodes(rule.within_days, rule.least) < rule.episodes:
        return False
    return not rule.first_time or past.first()


def level(rule: AlertRule, sighting: Sighting) -> Severity:
    """Return what an alert by this rule says: what was seen, or the rule's word where that is more.

    A rule never says less than was seen: else what becomes worse within a case would look the same, and be
    told to nobody.
    """
    return sighting.severity if rule.severity is None else max(rule.severity, sighting.severity)


def send_at(rule: AlertRule, hours: Timetable | None, now: datetime, within: Within) -> datetime:
    """Return when somebody is told: at once, or when the hours begin again; never later than LONGEST_WAIT."""
    if rule.out_of_hours is OutOfHours.NOW or hours is None or within(hours, now):
        return now
    moment = now
    while moment < now + LONGEST_WAIT:
        moment += _STEP
        if within(hours, moment):
            return moment
    return now + LONGEST_WAIT
