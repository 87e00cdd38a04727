"""What follows from one rule, for one person, at one moment.

What lives only here: the meaning of the columns of the schools' tables, and which of two outcomes is
the stricter. "Certain times" and "certain users" are never guessed: without a timetable or a list of
names they are nobody's and never (requirements 1.3).
"""

from __future__ import annotations

from datetime import datetime

from appliance.model.decision import Reason
from appliance.model.person import Person
from appliance.model.profile import Rating, Rule
from appliance.policy.schedule import within

STRICTNESS = {
    reason: rank
    for rank, reason in enumerate(
        (
            Reason.ACCEPTABLE,
            Reason.IN_TIME,
            Reason.NOMINATED,
            Reason.OUT_OF_TIME,
            Reason.NOT_NOMINATED,
            Reason.UNRATED,
            Reason.UNACCEPTABLE,
            Reason.ILLEGAL,
        )
    )
}
"""Outcomes from the most open to the strictest."""

OPENS = frozenset({Reason.ACCEPTABLE, Reason.IN_TIME, Reason.NOMINATED})
"""Outcomes that let a request through."""


def outcome(rule: Rule | None, person: Person, now: datetime) -> Reason:
    """Return what `rule` means for `person` at `now`; no rule at all is a blank, and a blank blocks."""
    if rule is None:
        return Reason.UNRATED
    rating = rule.rating
    if rating is Rating.UNACCEPTABLE:
        return Reason.UNACCEPTABLE
    if rating is Rating.ACCEPTABLE:
        return Reason.ACCEPTABLE
    if rating is Rating.ILLEGAL:
        return Reason.ILLEGAL
    if rating is Rating.CERTAIN_TIMES:
        in_time = rule.timetable is not None and within(rule.timetable, now)
        return Reason.IN_TIME if in_time else Reason.OUT_OF_TIME
    # Certain or nominated users. An empty name is an unknown child: never one who was nominated.
    nominated = bool(person.name) and person.name in rule.users
    return Reason.NOMINATED if nominated else Reason.NOT_NOMINATED
