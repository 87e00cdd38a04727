"""The cases under decided/: a claim about the shipped profiles, and the questions that show it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest
from pydantic import BeforeValidator, Field

from appliance.config.profiles import load_policy
from appliance.config.typed import Section, read
from appliance.model.decision import Action, Reason
from appliance.model.person import Person
from appliance.policy.decide import decide_category

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted((ROOT / "tests" / "cases" / "decided").glob("*.yaml"))
POLICY = load_policy(ROOT / "profiles", ROOT / "blocklists" / "categories.yaml")


class Question(Section):
    group: Annotated[str, Field(alias="as")]
    category: str
    action: Action
    reason: Reason
    at: Annotated[datetime, BeforeValidator(datetime.fromisoformat)] = datetime(2026, 11, 23, 10, 15)  # noqa: DTZ001 - the school's wall clock
    person: str = ""
    flagged: bool | None = None


class Case(Section):
    set: str
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_shipped_profiles_decide_it(path: Path) -> None:
    """Each case is a file named as its claim; every question in it gets the answer that stands beside it."""
    case = read(path, Case)
    for question in case.questions:
        profile = POLICY.sets[case.set].profiles[question.group]
        now = question.at.replace(tzinfo=ZoneInfo("Europe/London"))
        person = Person(question.group, "test", name=question.person)
        decision = decide_category(question.category, person, now, profile, POLICY.categories)
        assert (decision.action, decision.reason) == (question.action, question.reason), question
        assert question.flagged is None or decision.flagged is question.flagged, question


def test_there_are_cases() -> None:
    """A wrong path must not make the test above pass by having nothing to do."""
    assert CASES
