"""What the columns of the schools' tables mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from appliance.model.decision import Reason
from appliance.model.person import Person
from appliance.model.profile import Rating, Rule
from appliance.policy.rules import OPENS, STRICTNESS, outcome
from tests.policy.strategies import moments, people, rules

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
TEACHER = Person("staff", "test", name="a.teacher")
SOMEBODY = Person("staff", "test")


def rule(rating: Rating, users: frozenset[str] = frozenset()) -> Rule:
    return Rule("shopping", rating, "Because.", "staff.yaml:1", users=users)


@pytest.mark.parametrize(
    ("rating", "reason"),
    [
        (Rating.ACCEPTABLE, Reason.ACCEPTABLE),
        (Rating.CERTAIN_TIMES, Reason.OUT_OF_TIME),
        (Rating.CERTAIN_USERS, Reason.NOT_NOMINATED),
        (Rating.NOMINATED_USERS, Reason.NOT_NOMINATED),
        (Rating.UNACCEPTABLE, Reason.UNACCEPTABLE),
        (Rating.ILLEGAL, Reason.ILLEGAL),
    ],
)
def test_an_unfilled_rule_opens_only_what_is_acceptable(rating: Rating, reason: Reason) -> None:
    """Certain times without times, and certain users without users, are never and nobody."""
    assert outcome(rule(rating), TEACHER, NOW) is reason


def test_a_blank_blocks() -> None:
    """A category without a rule is not open by oversight."""
    assert outcome(None, TEACHER, NOW) is Reason.UNRATED


def test_only_the_nominated_get_in() -> None:
    """A nomination is for the named person alone."""
    nominated = rule(Rating.NOMINATED_USERS, frozenset({"a.teacher"}))
    assert outcome(nominated, TEACHER, NOW) is Reason.NOMINATED
    assert outcome(nominated, SOMEBODY, NOW) is Reason.NOT_NOMINATED


def test_nobody_is_not_a_nominated_person() -> None:
    """An empty name on the list must not open a rule for everybody who is not signed in (S-06)."""
    careless = rule(Rating.CERTAIN_USERS, frozenset({""}))
    assert outcome(careless, SOMEBODY, NOW) is Reason.NOT_NOMINATED


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(rules, people, moments)
def test_every_outcome_has_its_place(rule: Rule, person: Person, moment: datetime) -> None:
    """No outcome is left out of the order of strictness, and the two halves of it do not mix."""
    reason = outcome(rule, person, moment)
    assert reason in STRICTNESS
    assert max(STRICTNESS[opens] for opens in OPENS) < min(
        STRICTNESS[r] for r in STRICTNESS if r not in OPENS
    )
