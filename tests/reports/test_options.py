"""Tests of the settings of reports."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.reports.options import DAYS, ReportSettings


def test_a_weekly_report_is_made_unless_a_school_says_otherwise() -> None:
    """DFE-M1: a weekly report needs nobody to think of it."""
    assert ReportSettings().weekly is not None
    assert ReportSettings().weekly.day in DAYS  # type: ignore[union-attr] # it is there by default
    assert ReportSettings.model_validate({"weekly": None}).weekly is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"weekly": {"day": "Fryday"}},
        {"weekly": {"at": "25:00"}},
        {"termly": {"days": ["2026-13-01"]}},
        {"daily": {}},
    ],
)
def test_a_slip_is_a_problem(wrong: dict[str, object]) -> None:
    """`check` names what would never be made."""
    with pytest.raises(ValidationError):
        ReportSettings.model_validate(wrong)
