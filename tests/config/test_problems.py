"""How a problem is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.problems import Problem, ProblemsError, nearest, unknown

KNOWN = ("gambling", "games_educational", "shopping")


def test_a_problem_reads_like_a_compilers() -> None:
    """Editors and terminals make `file:line:column` a link to the place."""
    problem = Problem("profiles/west/ks2.yaml", 14, 3, "unknown key")
    assert str(problem) == "profiles/west/ks2.yaml:14:3: unknown key"


def test_all_problems_are_told_once_and_in_order() -> None:
    """A technician walks through the file once, from top to bottom; line 9 stands before line 10."""
    problems = [Problem("a", 10, 1, "x"), Problem("a", 9, 2, "x"), Problem("a", 10, 1, "x")]
    error = ProblemsError(problems)
    assert [problem.line for problem in error.problems] == [9, 10]
    assert str(error) == "a:9:2: x\na:10:1: x"


def test_the_nearest_name_is_suggested() -> None:
    """A slip of the finger is recognised, and what else was possible is shown."""
    assert unknown("category", "gamblng", KNOWN) == (
        "unknown category 'gamblng'; did you mean 'gambling'? Also possible: games_educational, shopping"
    )
    assert unknown("category", "xyz", KNOWN).startswith("unknown category 'xyz'; possible: gambling,")
    assert unknown("bell", "lunch", ()) == "unknown bell 'lunch'; there is none to choose from"
    assert nearest("GAMBLING", KNOWN) == "gambling"


@pytest.mark.slow
def test_a_long_list_is_cut_and_counted() -> None:
    """Six hundred time zones are no help; the nearest dozen are."""
    text = unknown("zone", "zone_77", [f"zone_{number}" for number in range(600)] + ["zone_seven"])
    assert text.endswith("more")
    assert len(text) < 300


@pytest.mark.slow
@given(st.text(max_size=30))
def test_no_word_can_break_the_line(word: str) -> None:
    """Whatever was typed, one problem stays one line and cannot colour a terminal."""
    text = unknown("category", word, KNOWN)
    assert text.isprintable() or not word.isprintable()
    assert "\n" not in text
    assert "\x1b" not in text
