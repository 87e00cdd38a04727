"""What one rule and one window of time must look like."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.config.shapes import RuleShape, WindowShape

BECAUSE = "Gambling is not for schools."


@pytest.mark.parametrize(
    "rule",
    [
        {"rating": "acceptable_certain_times"},
        {"rating": "acceptable", "timetable": "lunch"},
        {"rating": "unacceptable", "users": ["a.teacher"]},
        {"rating": "acceptable_certain_times", "timetable": "lunch", "users": ["a.teacher"]},
        {"rating": "acceptable_certain_users", "users": [" "]},
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rule: dict[str, object]) -> None:
    """Times without times, times or names without effect, and nobody as somebody."""
    with pytest.raises(ValidationError):
        RuleShape.model_validate({"because": BECAUSE, **rule})


def test_nominated_users_may_be_nobody() -> None:
    """The tables say "certain users" and not who: the list is empty until the school fills it."""
    rule = RuleShape.model_validate({"because": BECAUSE, "rating": "acceptable_certain_users"})
    assert rule.users == ()


def test_the_source_is_part_of_the_reason() -> None:
    """Who reads why a page is blocked also reads where that is written."""
    rule = {"rating": "unacceptable", "because": BECAUSE}
    assert RuleShape.model_validate(rule).reason == BECAUSE
    assert RuleShape.model_validate({**rule, "source": "W:472"}).reason == f"{BECAUSE} (W:472)"
    both = RuleShape.model_validate({**rule, "source": ["W:472", "T:347"]})
    assert both.reason == f"{BECAUSE} (W:472, T:347)"


@pytest.mark.parametrize(
    "window",
    [
        {"from": "12:00", "to": "12:00"},
        {"from": "24:00", "to": "06:00"},
        {"from": "12:00", "to": "24:30"},
        {"from": "1200", "to": "13:00"},
        {"days": [], "from": "12:00", "to": "13:00"},
        {"days": ["holiday"], "from": "12:00", "to": "13:00"},
    ],
)
def test_a_window_that_never_occurs_is_refused(window: dict[str, object]) -> None:
    """It would leave a rule that looks open and never is."""
    with pytest.raises(ValidationError):
        WindowShape.model_validate(window)


def test_a_night_and_a_whole_day_are_windows() -> None:
    """Past midnight, and from midnight to midnight."""
    assert WindowShape.model_validate({"from": "20:00", "to": "06:00"}).end == "06:00"
    assert WindowShape.model_validate({"from": "00:00", "to": "24:00"}).days == ("weekdays",)
