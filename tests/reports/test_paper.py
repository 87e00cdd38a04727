"""Tests of what is printed: which cells are figures."""

from __future__ import annotations

from appliance.reports.paper import like_a_number, number


def test_what_is_not_shown_has_no_bar() -> None:
    """The length of a bar must not tell what the figure beside it hides."""
    assert [number(text) for text in ("1,234", "fewer than 5 people", "not shown", "-")] == [1234, 0, 0, 0]
    assert all(like_a_number(text) for text in ("1,234", "fewer than 5 people", "not shown", "-", ""))
    assert not like_a_number("poor: look at this rule")
