"""What a report says: the safeguarding team's week and the governors' term, in plain English.

What lives only here: which figures stand in which report, and what is counted how. For governors small
numbers are hidden (`hiding`), and precision is a word: from a number a count of cases could be read. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Protocol

from appliance.model.category import Risk
from appliance.reports import trials
from appliance.reports.hiding import LEAST, Cells
from appliance.reports.paper import Paper, Table
from appliance.reports.trials import Sending, Trial

_MOST = 10
_HOUR = 3600.0


class Row(Protocol):
    """Accesses of one person or device with one outcome."""

    @property
    def subject(self) -> int:
        """Who, as a number; 0 where nobody is known."""

    @property
    def group(self) -> str:
        """Whose rules applied."""

    @property
    def action(self) -> str:
        """What was done: allow or block."""

    @property
    def category(self) -> str:
        """What it was about."""

    @property
    def floor(self) -> bool:
        """Whether a statutory list decided."""

    @property
    def flagged(self) -> bool:
        """Whether the safeguarding lead may need it."""

    @property
    def times(self) -> int:
        """How many."""


@dataclass(frozen=True, slots=True)
class CaseFact:
    """One case that somebody was told of; `subject` is whoever it is about."""

    subject: str
    theme: str
    report: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One request from a block page, and after how many seconds it was answered; None: it waits."""

    answered: float | None
    granted: bool


@dataclass(frozen=True, slots=True)
class RuleFact:
    """What staff said of one alert rule."""

    rule: str
    useful: int
    useless: int
    poor: bool
    judged: bool


@dataclass(frozen=True, slots=True)
class ListFact:
    """One list that counts: its title, entries, and age in days; `old` where it is older than it may be."""

    title: str
    entries: int
    days: float
    statutory: bool = False
    old: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report is made of. `weeks` are the weeks until its end, by name, the oldest first."""

    school: str
    since: datetime
    until: datetime
    made: datetime
    now: Sequence[Row]
    before: Sequence[Row]
    weeks: Mapping[str, Sequence[Row]]
    cases: Sequence[CaseFact] = ()
    cases_before: Sequence[CaseFact] = ()
    requests: Sequence[Request] = ()
    reviews: int = 0
    granted: Mapping[str, int] = field(default_factory=dict)
    lists: Sequence[ListFact] = ()
    rules: Sequence[RuleFact] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    two_people: bool = False
    trials: Sequence[Trial] = ()
    signs: Sequence[Sending] = ()


type _Key = tuple[str, ...]


def weekly(facts: Facts) -> Paper:
    """Return the report for the safeguarding team: every number, nobody's name."""
    return _paper(facts, "Weekly safeguarding report", 1, _WEEKLY_FOOT)


def termly(facts: Facts) -> Paper:
    """Return the report for governors: what fewer than five people did cannot be read from it."""
    return _paper(facts, "Termly report to governors", LEAST, _TERMLY_FOOT)


_TESTS_NOTE = "Who made them, and what failed, stands in the audit (appliance selftest list)."
_WEEKLY_FOOT = "Confidential: for the safeguarding team. Nobody is named; small numbers may point to a child."
_TERMLY_FOOT = f"Figures of fewer than {LEAST} people are hidden, with those that would give them away."


def _paper(facts: Facts, title: str, least: int, foot: str) -> Paper:
    public = least > 1
    cells = _cells(facts, least)
    hidden = cells.hidden()

    def text(*key: str) -> str:
        return cells.text(key, hidden)

    tables = [
        _glance(facts, text, public=public),
        _risks(facts, text),
        _themes(facts, text),
        *([] if public else [_categories(facts)]),
        _trend(facts, text),
        _requests(facts),
        Table("Overrides that staff granted, by role", ("Role", "Overrides"), _counted(facts.granted)),
        _rules(facts, public=public),
        _lists(facts),
        Table("Tests", ("When", "What", "Outcome"), trials.rows(facts.trials, facts.signs), _TESTS_NOTE),
    ]
    span = f"{facts.since:%d %B %Y, %H:%M} to {facts.until:%d %B %Y, %H:%M}"
    return Paper(f"{title}: {facts.school}", facts.made, _sentences(facts, span, text), tables, foot)


def _cells(facts: Facts, least: int) -> Cells[_Key]:
    cells: Cells[_Key] = Cells(least)
    for when, rows in (("now", facts.now), ("before", facts.before)):
        for what, fits in _KINDS.items():
            _put(cells, (when, what), [row for row in rows if fits(row)])
    for when, cases in (("now", facts.cases), ("before", facts.cases_before)):
        for what, chosen in (("cases", cases), ("reports", [case for case in cases if case.report])):
            # Whoever tells of something is nobody in the log: each report counts as a person of its own.
            cells.put((when, what), len(chosen), len({case.subject for case in chosen}))
    for risk in Risk:
        of_risk = [row for row in facts.now if row.flagged and _risk(facts, row) == risk]
        _put(cells, ("risk", risk), of_risk)
        for group in _groups(facts):
            _put(cells, ("risk", risk, group), [row for row in of_risk if row.group == group])
        cells.adds_up(("risk", risk), [("risk", risk, group) for group in _groups(facts)])
    cells.adds_up(("now", "flagged"), [("risk", risk) for risk in Risk])
    for theme in _theme_names(facts):
        chosen = [case for case in facts.cases if case.theme == theme]
        cells.put(("theme", theme), len(chosen), len({case.subject for case in chosen}))
    cells.adds_up(("now", "cases"), [("theme", theme) for theme in _theme_names(facts)])
    told = {case.theme for case in facts.cases if case.report}
    if told and all(case.report for case in facts.cases if case.theme in told):
        cells.adds_up(("now", "reports"), [("theme", theme) for theme in sorted(told)])
    _add_weeks(cells, facts)
    return cells


def _add_weeks(cells: Cells[_Key], facts: Facts) -> None:
    for what in ("accesses", "blocked", "flagged"):
        fits, parts = _KINDS[what], [("week", name, what) for name in facts.weeks]
        chosen = {name: [row for row in rows if fits(row)] for name, rows in facts.weeks.items()}
        for name, rows in chosen.items():
            _put(cells, ("week", name, what), rows)
        # The weeks may be just those of the span: then they add up to its figures, and give none away.
        whole = sum(row.times for row in facts.now if fits(row))
        if parts and whole == sum(row.times for rows in chosen.values() for row in rows):
            cells.adds_up(("now", what), parts)


def _put(cells: Cells[_Key], key: _Key, rows: Sequence[Row]) -> None:
    cells.put(key, sum(row.times for row in rows), len({row.subject for row in rows}))


_KINDS: Mapping[str, Callable[[Row], bool]] = {
    "accesses": lambda _row: True,
    "blocked": lambda row: row.action != "allow",
    "flagged": lambda row: row.flagged,
    "statutory": lambda row: row.floor,
}
_TITLES = {
    "accesses": "Accesses",
    "blocked": "Blocked",
    "flagged": "Flagged: what the safeguarding lead may need",
    "statutory": "On a statutory list (illegal images, terrorist content)",
    "cases": "Cases that somebody was told of",
    "reports": "Of these: pupils who said that something upset them",
}


def _sentences(facts: Facts, span: str, text: Callable[..., str]) -> list[str]:
    seen = (
        f"From {span}. Made on {facts.made:%d %B %Y} by the school gateway, which sees the school's network "
        "and nothing else: not what happens on a device, in a room, or on a mobile network."
    )
    counted = (
        f"There were {text('now', 'accesses')} accesses, of which {text('now', 'blocked')} were blocked; "
        f"{text('now', 'cases')} cases were told to somebody."
    )
    said = [seen, counted]
    if poor := [rule.rule for rule in facts.rules if rule.poor]:
        said.append(f"These alert rules were mostly of no use, and should be looked at: {', '.join(poor)}.")
    if old := [one.title for one in facts.lists if one.old]:
        said.append(f"These lists are older than they may be: {', '.join(old)}.")
    who = "two people together" if facts.two_people else "one person alone (approval: single)"
    said.append(f"The filter's policy is changed by {who}.")
    said.append(trials.sentence(facts.trials))
    return said


def _glance(facts: Facts, text: Callable[..., str], *, public: bool) -> Table:
    # For governors the rest of "before" stands in the report before, hidden as that time needed it.
    both = ("accesses", "blocked") if public else tuple(_TITLES)
    rows = [
        (title, text("now", what), text("before", what) if what in both else "-")
        for what, title in _TITLES.items()
    ]
    span = facts.until - facts.since
    note = f"Before: the {span.days} days before. An access is a request for a page, picture or other part."
    return Table("At a glance", ("", "This time", "Before"), rows, note)


def _risks(facts: Facts, text: Callable[..., str]) -> Table:
    groups = _groups(facts)
    rows = [
        (risk.value.capitalize(), *(text("risk", risk, group) for group in groups), text("risk", risk))
        for risk in Risk
    ]
    heads = ("Risk", *(facts.groups.get(group, group or "nobody known") for group in groups), "All")
    note = "The four Cs of Keeping children safe in education: flagged accesses by what they were about."
    return Table("Flagged accesses, by risk and year group", heads, rows, note)


def _themes(facts: Facts, text: Callable[..., str]) -> Table:
    rows = [(theme, text("theme", theme)) for theme in _theme_names(facts)]
    note = "A case is what was seen of one person and theme."
    return Table("Cases, by theme", ("Theme", "Cases"), rows, note, bars=True)


def _categories(facts: Facts) -> Table:
    found: Counter[str] = Counter()
    for row in facts.now:
        if row.action != "allow":
            found[facts.categories.get(row.category, (row.category or "no category", ""))[0]] += row.times
    rows = [(title, f"{count:,}") for title, count in found.most_common(_MOST)]
    return Table("What was blocked most", ("Category", "Blocked"), rows, bars=True)


def _trend(facts: Facts, text: Callable[..., str]) -> Table:
    rows = [
        (name, text("week", name, "accesses"), text("week", name, "flagged"), text("week", name, "blocked"))
        for name in facts.weeks
    ]
    heads = ("Week until", "Accesses", "Flagged", "Blocked")
    return Table("Week by week", heads, rows, "Bars: blocked.", bars=True)


def _requests(facts: Facts) -> Table:
    answered = [one.answered / _HOUR for one in facts.requests if one.answered is not None]
    granted = sum(one.granted for one in facts.requests)
    rows = [
        ("Messages from block pages, in all", f"{facts.reviews:,}"),
        ("Sites asked for, each once for a year group", f"{len(facts.requests):,}"),
        ("Answered", f"{len(answered):,}"),
        ("Of these opened", f"{granted:,}"),
        ("Waiting", f"{len(facts.requests) - len(answered):,}"),
        ("Hours until an answer: half of them within", f"{median(answered):.1f}" if answered else "-"),
        ("Hours until an answer: the longest", f"{max(answered):.1f}" if answered else "-"),
    ]
    return Table('"I think this is a mistake"', ("Requests to open a site", ""), rows)


def _rules(facts: Facts, *, public: bool) -> Table:
    def word(rule: RuleFact) -> str:
        if not rule.judged:
            return "too few answers yet"
        return "poor: look at this rule" if rule.poor else "good"

    if public:
        rows: list[tuple[str, ...]] = [(rule.rule, word(rule)) for rule in facts.rules]
        return Table("Alert rules, by what staff said of their alerts", ("Rule", "Precision"), rows)
    rows = [(rule.rule, f"{rule.useful}", f"{rule.useless}", word(rule)) for rule in facts.rules]
    heads = ("Rule", "Useful", "Not useful", "Precision")
    return Table("Alert rules, by what staff said of their alerts", heads, rows, "Since the gateway began.")


def _lists(facts: Facts) -> Table:
    # The statutory ones, then the oldest: the age of a list is what may be wrong with it.
    statutory = [one for one in facts.lists if one.statutory]
    others = sorted((one for one in facts.lists if not one.statutory), key=lambda one: -one.days)
    rows = [(one.title, f"{one.entries:,}", f"{one.days:.1f}") for one in (*statutory, *others[:_MOST])]
    more = len(others) - _MOST
    note = f"And {more} further lists, none older than these." if more > 0 else ""
    return Table("Lists in force", ("List", "Entries", "Age in days"), rows, note)


def _counted(found: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in sorted(found.items())]


def _groups(facts: Facts) -> list[str]:
    there = {row.group for row in facts.now if row.flagged}
    return [group for group in facts.groups if group in there] + sorted(there - facts.groups.keys())


def _theme_names(facts: Facts) -> list[str]:
    # By name: an order by number would tell of what is hidden.
    return sorted({case.theme for case in facts.cases})


def _risk(facts: Facts, row: Row) -> str:
    # Nothing that a category says (an unnamed site, a fault of the filter): content, the widest of the four.
    return facts.categories.get(row.category, ("", Risk.CONTENT))[1] or Risk.CONTENT
