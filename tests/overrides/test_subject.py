"""Tests of one person in the overrides: theirs without other names, and erased only where they have ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.model.grant import Whom
from appliance.overrides import subject
from tests.overrides.making import HOUR, NOW, Made, make, wish

pytestmark = pytest.mark.slow  # each makes a database


def given(made: Made, *persons: str) -> int:
    """Grant something to people by name."""
    one = replace(wish(), whom=Whom(persons=frozenset(persons)))
    return made.store.request_and_grant(one, "teacher", by="mrs.jones", now=NOW).number


def test_what_was_opened_for_somebody_names_nobody_else(tmp_path: Path) -> None:
    """DP-6: a pupil sees what was opened for them, and not for whom else or by whom."""
    made = make(tmp_path)
    number = given(made, "Ada", "Ben")
    given(made, "Ben")
    (found,) = subject.kept(made.database, "ada")
    assert (found["number"], found["your part"]) == (number, "for")
    assert "Ben" not in str(found)
    assert "jones" not in str(found)
    assert [each["your part"] for each in subject.kept(made.database, "mrs.jones")] == ["asked, granted"] * 2


def test_a_name_goes_only_where_the_override_has_ended(tmp_path: Path) -> None:
    """What is open just now must say for whom; what is over need not."""
    made = make(tmp_path)
    first = given(made, "Ada", "Ben")
    made.store.advance(NOW + 2 * HOUR)
    second = given(made, "Ada")
    damaged = given(made, "Cem")
    with made.database.writing() as db:
        db.execute("UPDATE override SET what = 'x' WHERE number = ?", (damaged,))
    assert subject.erase(made.database, "Ada") == (1, [second])
    assert made.store.get(first).wish.whom.persons == {"Ben", subject.ERASED}
