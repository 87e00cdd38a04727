"""The school's own entries: the more specific wins, and a tie is closed."""

from __future__ import annotations

from itertools import permutations

import pytest

from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Reason
from appliance.model.known import Match, Use
from appliance.policy import local

CATEGORIES = {
    name: Category(name, name, severity, Risk.CONTENT, name, name)
    for name, severity in (("games", Severity.LOW), ("self_harm", Severity.CRITICAL))
}


def entry(text: str, use: Use, because: str = "") -> Match:
    return Match("local", "1", text, (), use, because)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("example.org", Use.BLOCK), ("www.example.org", Use.ALLOW)], Use.ALLOW),
        ([("example.org", Use.ALLOW), ("www.example.org", Use.BLOCK)], Use.BLOCK),
        ([("example.org", Use.ALLOW), ("example.org", Use.BLOCK)], Use.BLOCK),
        ([("example.org", Use.ALLOW), ("example.org/lesson", Use.BLOCK)], Use.BLOCK),
    ],
)
def test_the_longer_entry_wins_and_a_tie_blocks(entries: list[tuple[str, Use]], expected: Use) -> None:
    """One page of a closed site can be opened, one page of an open site closed, in any order of lists."""
    for order in permutations(entry(*one) for one in entries):
        found = local.winner(order)
        assert found is not None
        assert found.use is expected


def test_category_lists_are_no_local_word() -> None:
    """Only the school's own entries count here."""
    assert local.winner([Match("ut1", "1", "example.org", ("games",))]) is None


def test_a_local_allow_is_not_flagged() -> None:
    """What the school opened is not an incident."""
    decision = local.decision(entry("example.org", Use.ALLOW, "For Year 4."), [], "ks2", CATEGORIES, "v1")
    assert (decision.reason, decision.because) == (Reason.LOCAL_ALLOW, "For Year 4.")
    assert (decision.flagged, decision.severity) == (False, Severity.INFO)


def test_a_local_block_does_not_hide_what_else_the_site_is() -> None:
    """A self-harm site that the school blocked by hand as well is still reported as one (UKF-C9)."""
    found = [("games", Match("a", "1", "x", ("games",))), ("self_harm", Match("b", "1", "x", ("self_harm",)))]
    decision = local.decision(entry("example.org", Use.BLOCK), found, "ks2", CATEGORIES, "v1")
    assert (decision.reason, decision.category) == (Reason.LOCAL_BLOCK, "self_harm")
    assert (decision.severity, decision.flagged) == (Severity.CRITICAL, True)


def test_a_local_block_of_an_unlisted_site_is_a_trifle() -> None:
    """With nothing else known, a local block is of low severity, and says that the school decided."""
    decision = local.decision(entry("example.org", Use.BLOCK), [], "ks2", CATEGORIES, "v1")
    assert (decision.severity, decision.because) == (Severity.LOW, local.BECAUSE_BLOCKED)
    assert decision.rule == "local: example.org"
