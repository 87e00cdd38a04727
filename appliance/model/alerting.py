"""Which flagged accesses matter to whom: the rules of a set, and what they are asked about.

Values only; `alerts.routing` evaluates them. A sighting has no field for an address, a host or a search
term: what follows from it cannot show one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from appliance.model.category import Risk, Severity
from appliance.model.timetable import Timetable

SELF_REPORT = "self_report"
"""The theme of "I saw something that upset me": an episode of its own, and nobody's fault (S-67)."""


class Who(StrEnum):
    """Whom a rule is about."""

    PUPILS = "pupils"
    ADULTS = "adults"


class OutOfHours(StrEnum):
    """What becomes of an alert while nobody is at work."""

    NOW = "now"  # sent at once, whatever the hour
    WAIT = "wait"  # sent when the hours begin again, at most three days later


@dataclass(frozen=True, slots=True)
class Theme:
    """What the safeguarding lead calls it (S-57). `reasons` are decisions that belong to it as well."""

    id: str
    title: str
    risk: Risk
    categories: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Who is told of what. An empty set stands for all.

    `count` sightings within `within_minutes`, or `episodes` of any theme within `within_days`, must have
    been there; `tell` are the roles that are told, each when the one before did not acknowledge in time.
    `severity` is what the alert says, or that of the sighting. `where` is file and line.
    """

    id: str
    because: str
    where: str
    tell: tuple[str, ...]
    themes: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    risks: frozenset[Risk] = frozenset()
    groups: frozenset[str] = frozenset()
    who: Who | None = None
    least: Severity = Severity.INFO
    count: int = 1
    within_minutes: int = 0
    episodes: int = 0
    within_days: int = 0
    first_time: bool = False
    times: Timetable | None = None
    severity: Severity | None = None
    acknowledge_minutes: int = 30
    out_of_hours: OutOfHours = OutOfHours.NOW


@dataclass(frozen=True, slots=True)
class Alerting:
    """The alert rules of one set. `hours` are when somebody is there to read; None: always."""

    roles: Mapping[str, str] = field(default_factory=dict)
    themes: Mapping[str, Theme] = field(default_factory=dict)
    rules: tuple[AlertRule, ...] = ()
    window_minutes: int = 60
    hours: Timetable | None = None
    adults: frozenset[str] = frozenset()
    """The groups that are no pupils."""

    def theme_of(self, category: str, reason: str) -> Theme | None:
        """Return the theme that a sighting belongs to: by its category, else by its reason."""
        for theme in self.themes.values():
            if category in theme.categories:
                return theme
        return next((theme for theme in self.themes.values() if reason in theme.reasons), None)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One flagged access, as far as alerts may know it.

    `key` is the same whenever the same event is met again. `subject` is the person, or where only the
    group is known the device; it never leaves the gateway.
    """

    key: int
    at: datetime
    subject: str
    group: str
    category: str
    reason: str
    severity: Severity
    reference: str
    report: bool = False
    """True where somebody told of it themselves."""
