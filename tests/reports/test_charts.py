"""Tests of charts: they fetch nothing, run nothing, and say no more than the table."""

from __future__ import annotations

import re

import pytest

from appliance.reports.charts import bars
from appliance.reports.paper import Table

pytestmark = pytest.mark.slow  # pygal takes half a second to load


def test_a_chart_loads_nothing_and_runs_nothing() -> None:
    """S-68: whoever opens a report on a laptop is seen by no other site."""
    drawn = bars(Table("", ("Theme", "Cases"), [("Drugs & <b>", "14"), ("Nudes", "fewer than 5 people")]))
    assert "<script" not in drawn
    assert not re.findall(r'(?:href|src)="(?:https?:)?//', drawn)
    assert "@import" not in drawn
    assert "<b>" not in drawn
    assert 'role="img"' in drawn


def test_a_hidden_figure_has_no_length() -> None:
    """A bar of three is as telling as the number three."""
    one = bars(Table("", ("a", "b"), [("x", "10"), ("y", "fewer than 5 people")]))
    two = bars(Table("", ("a", "b"), [("x", "10"), ("y", "not shown")]))
    assert re.sub(r"fewer than 5 people|not shown", "", one) == re.sub(
        r"fewer than 5 people|not shown", "", two
    )


def test_an_empty_time_is_drawn_too() -> None:
    """Holidays are no fault."""
    assert "<svg" in bars(Table("", ("a", "b"), [("x", "0")]))
