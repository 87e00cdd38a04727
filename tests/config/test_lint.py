from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.lint import Finding, lint
from appliance.config.profiles import load_policy
from appliance.config.written import Document, Statement, Written, read_written
from appliance.model.profile import Policy
from tests.doubles.school import ROOT

PLACES = [
    "W:434: use of mobile phones in lessons, pupils: the cell is blank",
    "W:502: sanctions for pupils: offers 'Refer to technical support",
    "W:475, W:507: file_sharing: allowed",
    "T:345, T:478: games_educational: allowed",
    "T:352, T:478: video_streaming: limited",
    "W:440: messaging_apps: has no row in the user actions",
    "T:335, W:459: extremism: forbidden in west, illegal in westways",
    "W:525: sanctions for staff: Deliberately accessing",
    "W:342: change of passwords each September",
    "W:310, W:297: Smoothwall is named as the web filter and as the anti-virus",
    "W:50, W:113: monitoring and reporting of online safety: every year here, every week there",
    "W:424, W:318: personal data is barred from e-mail",
]
"""The twelve places of the two schools' policies that contradict themselves or leave something open."""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "profiles", ROOT / "blocklists" / "categories.yaml")


@pytest.fixture(scope="module")
def findings(policy: Policy) -> list[Finding]:
    return lint(read_written(ROOT / "profiles"), policy)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_the_places_of_the_two_schools_are_found(place: str, findings: list[Finding]) -> None:
    """A9: each blank and contradiction of the two policies is told, with its place in the document."""
    assert any(place in str(finding) for finding in findings)


@pytest.mark.slow
def test_each_finding_names_a_line_that_says_it(findings: list[Finding]) -> None:
    """Whoever reads a finding opens file and line, and sees what is meant."""
    for each in findings:
        line = (ROOT / each.file if not Path(each.file).is_absolute() else Path(each.file)).read_text()
        text = line.splitlines()[each.line - 1]
        assert each.places[0] in text or each.message.partition(":")[0] in text


@pytest.mark.slow
def test_a_rule_that_opens_for_nobody_is_dead(findings: list[Finding]) -> None:
    """A rule for named persons without a name is told, with its file and line."""
    assert any(
        "westways/staff: shopping: open to named persons, and nobody is named" in str(f) for f in findings
    )


@pytest.mark.slow
def test_what_agrees_is_no_finding(policy: Policy) -> None:
    """A linter that cries wolf is switched off."""
    fits = [
        Statement(at="W:1", subject="gambling", part="user actions", says="forbidden"),
        Statement(at="W:2", subject="gambling", part="pupils' code", says="forbidden"),
        Statement(
            at="W:3", subject="shopping", part="user actions", says="limited", who=frozenset({"staff"})
        ),
        Statement(
            at="W:4", subject="shopping", part="pupils' code", says="forbidden", who=frozenset({"pupils"})
        ),
    ]
    document = Document(title="A policy", statement=tuple(fits))
    written = Written(set="a", path=Path("a.toml"), text="", document=document)
    assert [each for each in lint([written], policy) if each.file == "a.toml"] == []
