"""profiles/<set>/alerts.yaml: the alert rules of a set as model values.

What lives only here: what makes alert rules whole. A category that matters and is in no theme, a rule that
can never apply, a role that nobody named: each would leave somebody untold, so each is a problem.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from appliance.config.document import Document
from appliance.config.document import Path as Keys
from appliance.config.fields import Name, Sentence
from appliance.config.problems import ProblemsError, unknown
from appliance.config.shapes import SeverityName, Text
from appliance.config.typed import Section, validate
from appliance.model.alerting import SELF_REPORT, Alerting, AlertRule, OutOfHours, Theme, Who
from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Reason
from appliance.model.timetable import Timetable

ALERTS_FILE = "alerts.yaml"
MATTERS = Severity.HIGH
"""From this severity on, a category must be in a theme."""

_DAY, _YEAR = 1_440, 366


class ThemeShape(Section):
    """What the safeguarding lead calls it."""

    title: Annotated[Text, Field(max_length=60)]
    """What a mail calls it. It leaves the school, so it names no person and no site."""
    risk: Risk
    """Which of the four Cs it belongs to."""
    categories: tuple[Name, ...] = ()
    """The categories that belong to it; each to one theme only."""
    reasons: tuple[Reason, ...] = ()
    """Decisions that belong to it, whatever the category, such as floor_repeated."""


class AlertRuleShape(Section):
    """Who is told of what; what is left out does not matter."""

    rule: Name
    """The id of this rule: figures and feedback name it."""
    because: Sentence
    """Why, as a governor reads it."""
    themes: tuple[Name, ...] = ()
    """Only these themes."""
    categories: tuple[Name, ...] = ()
    """Only these categories."""
    risks: tuple[Risk, ...] = ()
    """Only these of the four Cs."""
    groups: tuple[Name, ...] = ()
    """Only these profiles."""
    who: Who | None = None
    """Only pupils, or only adults."""
    least: SeverityName = "info"
    """Only from this severity on."""
    count: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1
    """So many such accesses of one person and theme, within `within_minutes`."""
    within_minutes: Annotated[int, Field(strict=True, ge=0, le=7 * _DAY)] = 0
    """The time for `count`."""
    episodes: Annotated[int, Field(strict=True, ge=0, le=100)] = 0
    """So many episodes of one person, of whatever theme, within `within_days`; 0 for any number."""
    within_days: Annotated[int, Field(strict=True, ge=0, le=_YEAR)] = 0
    """The time for `episodes`."""
    first_time: Annotated[bool, Field(strict=True)] = False
    """Only where this person never met this theme before."""
    times: Name | None = None
    """Only at these times: a timetable of set.yaml."""
    severity: SeverityName | None = None
    """What the alert says at least: never less than the category's own, which it is when left out."""
    tell: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Who is told: roles, each when the one before did not acknowledge in time."""
    acknowledge_minutes: Annotated[int, Field(strict=True, ge=1, le=7 * _DAY)] = 30
    """After how long without an acknowledgement the next role is told."""
    out_of_hours: OutOfHours = OutOfHours.NOW
    """Outside `hours`: now, or wait until they begin again (at most three days)."""

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if self.count > 1 and not self.within_minutes:
            raise ValueError("'count' needs 'within_minutes': so many within which time?")
        if self.episodes and not self.within_days:
            raise ValueError("'episodes' needs 'within_days': so many within which time?")
        if self.first_time and (self.count > 1 or self.episodes):
            raise ValueError(
                "'first_time' never goes together with 'count' or 'episodes'; remove one of them"
            )
        return self


class AlertsFile(Section):
    """alerts.yaml: which flagged accesses reach whom."""

    roles: Annotated[dict[Name, Text], Field(min_length=1)]
    """Who can be told, and what they are called; the settings say who it is (alerts.roles)."""
    hours: Name | None = None
    """When somebody is there to read alerts: a timetable of set.yaml; always when left out."""
    window_minutes: Annotated[int, Field(strict=True, ge=1, le=_DAY)] = 60
    """Accesses of one person and theme that are no further apart than this are one episode."""
    themes: Annotated[dict[Name, ThemeShape], Field(min_length=1)]
    """Each theme under its id."""
    rules: Annotated[tuple[AlertRuleShape, ...], Field(min_length=1)]
    """Every rule is asked; what fits is told."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the rules refer to in the other files. `profiles` says of each whether it is for adults."""

    categories: Mapping[str, Category]
    profiles: Mapping[str, bool]
    timetables: Mapping[str, Timetable]
    shown: str
    """The file's name in explanations: profiles/westways/alerts.yaml."""


def read_alerts(document: Document, around: Around) -> Alerting:
    """Return the alert rules of a set. Raises ProblemsError with everything that is wrong."""
    shape = validate(document, AlertsFile)
    problems = [document.problem(path, text) for check in _CHECKS for path, text in check(shape, around)]
    if problems:
        raise ProblemsError(problems)
    themes = {
        name: Theme(name, one.title, one.risk, frozenset(one.categories), frozenset(one.reasons))
        for name, one in shape.themes.items()
    }
    rules = tuple(
        _rule(one, around, document.values["rules", index].line) for index, one in enumerate(shape.rules)
    )
    hours = around.timetables[shape.hours] if shape.hours else None
    adults = frozenset(name for name, adult in around.profiles.items() if adult)
    return Alerting(dict(shape.roles), themes, rules, shape.window_minutes, hours, adults)


def _rule(shape: AlertRuleShape, around: Around, line: int) -> AlertRule:
    return AlertRule(
        id=shape.rule,
        because=shape.because,
        where=f"{around.shown}:{line}",
        tell=shape.tell,
        themes=frozenset(shape.themes),
        categories=frozenset(shape.categories),
        risks=frozenset(shape.risks),
        groups=frozenset(shape.groups),
        who=shape.who,
        least=Severity[shape.least.upper()],
        count=shape.count,
        within_minutes=shape.within_minutes,
        episodes=shape.episodes,
        within_days=shape.within_days,
        first_time=shape.first_time,
        times=around.timetables[shape.times] if shape.times else None,
        severity=Severity[shape.severity.upper()] if shape.severity else None,
        acknowledge_minutes=shape.acknowledge_minutes,
        out_of_hours=shape.out_of_hours,
    )


type _Found = Iterator[tuple[Keys, str]]


def _names(shape: AlertsFile, around: Around) -> _Found:
    if shape.hours and shape.hours not in around.timetables:
        yield ("hours",), unknown("timetable", shape.hours, around.timetables)
    for name, theme in shape.themes.items():
        yield from _all_known(("themes", name, "categories"), "category", theme.categories, around.categories)
    for index, rule in enumerate(shape.rules):
        at = ("rules", index)
        yield from _all_known((*at, "themes"), "theme", rule.themes, shape.themes)
        yield from _all_known((*at, "categories"), "category", rule.categories, around.categories)
        yield from _all_known((*at, "groups"), "profile", rule.groups, around.profiles)
        yield from _all_known((*at, "tell"), "role", rule.tell, shape.roles)
        if rule.times and rule.times not in around.timetables:
            yield (*at, "times"), unknown("timetable", rule.times, around.timetables)


def _all_known(path: Keys, kind: str, names: Collection[str], known: Collection[str]) -> _Found:
    for index, name in enumerate(names):
        if name not in known:
            yield (*path, index), unknown(kind, name, known)


def _once(shape: AlertsFile, _around: Around) -> _Found:
    taken: dict[str, str] = {}
    for name, theme in shape.themes.items():
        for index, category in enumerate(theme.categories):
            if category in taken:
                message = f"{category!r} is part of the theme {taken[category]!r} already"
                yield ("themes", name, "categories", index), message
            taken.setdefault(category, name)
    rules: set[str] = set()
    for index, rule in enumerate(shape.rules):
        if rule.rule in rules:
            yield ("rules", index, "rule"), f"a second rule is named {rule.rule!r}"
        rules.add(rule.rule)


def _complete(shape: AlertsFile, around: Around) -> _Found:
    listed = {category for theme in shape.themes.values() for category in theme.categories}
    for name, category in around.categories.items():
        if name not in listed and (category.floor or category.severity >= MATTERS):
            message = (
                f"{name!r} ({category.severity.name.lower()}) is in no theme: nobody would be told of it"
            )
            yield ("themes",), message
    if SELF_REPORT not in shape.themes:
        yield (
            ("themes",),
            f"the theme {SELF_REPORT!r} is missing: what somebody tells themselves reaches nobody (S-67)",
        )
    covered = {theme for rule in shape.rules for theme in _themes(rule, shape)}
    pupils = {
        theme for rule in shape.rules if _meets(rule, around, Who.PUPILS) for theme in _themes(rule, shape)
    }
    for name in shape.themes:
        if name not in covered:
            yield ("themes", name), f"no rule is about {name!r}: nobody would be told of it"
        elif name not in pupils and not all(around.profiles.values()):
            yield (
                ("themes", name),
                f"every rule about {name!r} is for adults: nobody would be told of a pupil's",
            )


def _applies(shape: AlertsFile, around: Around) -> _Found:
    # Conditions that are each right and never true together: such a rule looks as if it told somebody.
    for index, rule in enumerate(shape.rules):
        at, themes = ("rules", index), [shape.themes[name] for name in _themes(rule, shape)]
        if not all(name in shape.themes for name in rule.themes):
            continue  # told by `_names`
        if not themes:
            yield (*at, "risks"), f"no theme of the rule {rule.rule!r} has such a risk: it never applies"
            continue
        listed = {name for theme in themes for name in theme.categories}
        for place, name in enumerate(rule.categories):
            if name in around.categories and name not in listed:
                yield (
                    (*at, "categories", place),
                    f"{name!r} is in no theme of the rule {rule.rule!r}: it never applies to it",
                )
        if rule.who and rule.groups and not any(_meets(rule, around, who) for who in Who):
            yield (*at, "who"), f"no profile of 'groups' is for {rule.who.value}: this rule never applies"
        worst = _worst([name for name in rule.categories or listed if name in listed], themes, around)
        if worst is not None and worst < Severity[rule.least.upper()]:
            message = f"no category that the rule {rule.rule!r} is about is more than {worst.name.lower()}"
            yield (*at, "least"), f"{message}: it never applies"


def _themes(rule: AlertRuleShape, shape: AlertsFile) -> list[str]:
    """Return the themes that a rule is about, as far as there are such."""
    named = [name for name in rule.themes or shape.themes if name in shape.themes]
    return [name for name in named if not rule.risks or shape.themes[name].risk in rule.risks]


def _meets(rule: AlertRuleShape, around: Around, who: Who) -> bool:
    """Return whether a rule can be about such a person."""
    if rule.who not in (None, who):
        return False
    groups = [name for name in rule.groups or around.profiles if name in around.profiles]
    return any(around.profiles[name] is (who is Who.ADULTS) for name in groups)


def _worst(names: Collection[str], themes: Collection[ThemeShape], around: Around) -> Severity | None:
    """Return how severe what a rule is about can be; None where a reason, and no category, says so."""
    if any(theme.reasons or not theme.categories for theme in themes):
        return None
    known = [around.categories[name] for name in names if name in around.categories]
    return max((Severity.CRITICAL if one.floor else one.severity for one in known), default=None)


_CHECKS = (_names, _once, _complete, _applies)
