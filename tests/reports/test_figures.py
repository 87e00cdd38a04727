"""Tests of what reports say: true for the team, telling of nobody for governors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from appliance.reports.figures import CaseFact, Facts, ListFact, Request, RuleFact, termly, weekly
from appliance.reports.paper import Paper

UNTIL = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


class Row(NamedTuple):
    """Accesses of one person with one outcome."""

    subject: int
    group: str = "ks2"
    action: str = "block"
    category: str = "gambling"
    floor: bool = False
    flagged: bool = True
    times: int = 1


def rows(people: int, first: int = 1, **more: object) -> list[Row]:
    """Return one access of each of so many people."""
    return [Row(number, **more) for number in range(first, first + people)]  # type: ignore[arg-type] # fields of Row


NOW = [
    *rows(40),
    *rows(2, category="self_harm"),
    *rows(9, 100, group="ks1"),
    *rows(600, action="allow", flagged=False),
]
CASES = [*(CaseFact(f"name {at}", "Gambling") for at in range(8)), CaseFact("name 1", "Self-harm")]
FACTS = Facts(
    "Westways", UNTIL - timedelta(days=7), UNTIL, UNTIL, NOW, rows(3), {"13 Nov": rows(3), "20 Nov": NOW},
    cases=CASES, requests=[Request(7_200, granted=True), Request(None, granted=False)], reviews=3,
    granted={"teacher": 2}, lists=[ListFact("IWF", 5, 3, statutory=True, old=True), ListFact("UT1", 10, 1)],
    rules=[
        RuleFact("minor", 1, 9, poor=True, judged=True), RuleFact("drugs", 1, 0, poor=False, judged=False),
    ],
    groups={"ks1": "Key Stage 1", "ks2": "Key Stage 2"},
    categories={"gambling": ("Gambling", "commerce"), "self_harm": ("Self-harm", "content")},
)  # fmt: skip


def found(paper: Paper, title: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of one table by their first cell."""
    (table,) = [table for table in paper.tables if title in table.title]
    return {row[0]: tuple(row[1:]) for row in table.rows}


def test_the_team_reads_every_number() -> None:
    """DFE-M1: the weekly report is complete, with what was before beside it."""
    made = weekly(FACTS)
    assert found(made, "glance")["Accesses"] == ("651", "3")
    assert found(made, "by theme") == {"Gambling": ("8",), "Self-harm": ("1",)}
    assert found(made, "by risk")["Content"] == ("0", "2", "2")
    assert found(made, "Week by week")["20 Nov"] == ("651", "51", "51")
    assert found(made, "mistake")["Hours until an answer: the longest"] == ("2.0",)
    assert found(made, "rules")["minor"] == ("1", "9", "poor: look at this rule")


def test_governors_read_of_nobody() -> None:
    """S-48: two children in a theme are hidden, with what would give them away, and so is a rule's count."""
    made = termly(FACTS)
    assert found(made, "by theme") == {"Gambling": ("not shown",), "Self-harm": ("fewer than 5 people",)}
    content = found(made, "by risk")["Content"]
    assert content[1:] == ("fewer than 5 people", "fewer than 5 people")
    assert found(made, "rules") == {"minor": ("poor: look at this rule",), "drugs": ("too few answers yet",)}
    assert found(made, "glance")["Accesses"] == ("651", "fewer than 5 people")
    assert not [table for table in made.tables if "blocked most" in table.title]


def test_the_order_of_themes_tells_nothing() -> None:
    """Themes stand by name: sorted by number, a hidden one would be known to be less than its neighbour."""
    assert list(found(termly(FACTS), "by theme")) == ["Gambling", "Self-harm"]
    turned = replace(FACTS, cases=[CaseFact(f"name {at}", "Self-harm") for at in range(9)] + CASES[:1])
    assert list(found(termly(turned), "by theme")) == ["Gambling", "Self-harm"]


def test_what_is_wrong_is_said_in_sentences() -> None:
    """Poor rules, old lists and one person's word over the policy stand above all figures."""
    said = " ".join(weekly(FACTS).sentences)
    assert "mostly of no use, and should be looked at: minor." in said
    assert "older than they may be: IWF." in said
    assert "one person alone (approval: single)" in said
    assert "two people together" in " ".join(weekly(replace(FACTS, two_people=True)).sentences)


def test_a_time_in_which_nothing_was_makes_a_report() -> None:
    """Holidays and the first day of a gateway are no fault."""
    empty = replace(FACTS, now=[], before=[], weeks={}, cases=[], requests=[], rules=[], lists=[], granted={})
    for make in (weekly, termly):
        assert found(make(empty), "glance")["Accesses"][0] == "0"
