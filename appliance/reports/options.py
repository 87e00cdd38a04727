"""The section `reports` of the settings: when they are made, and who hears that they are there."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from appliance.config.fields import ClockText, Name
from appliance.config.typed import Section

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class WeeklySettings(Section):
    """The safeguarding team's report."""

    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "friday"
    at: ClockText = Field("15:30", description="When it is made, by the school's clock.")
    tell: tuple[Name, ...] = Field(("dsl",), description="Roles that hear by mail that it is there.")


class TermlySettings(Section):
    """The governors' report."""

    days: tuple[date, ...] = Field((), description="Last days of terms; each report begins where one ended.")
    at: ClockText = Field("18:00", description="When it is made, by the school's clock.")
    tell: tuple[Name, ...] = Field(("head",), description="Roles that hear by mail that it is there.")


class ReportSettings(Section):
    """Reports that are made by themselves, into STATE/reports."""

    weekly: WeeklySettings | None = Field(WeeklySettings(), description="null: none is made by itself.")
    termly: TermlySettings | None = Field(TermlySettings(), description="null: none is made by itself.")
