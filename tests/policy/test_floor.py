"""The floor's own decisions: they say enough to act upon, and nothing that must not be seen."""

from __future__ import annotations

import pytest

from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import Floor, FloorState, Match
from appliance.policy import floor

HIT = Floor(FloorState.OK, "iwf", "2026-11-21", "csam")


@pytest.mark.parametrize(
    "decision",
    [
        floor.hit(HIT, "staff", "v1"),
        floor.category("csam", Match("imported", "3", "listed.example", ("csam",)), "staff", "v1"),
        floor.category("csam", None, "staff", "v1"),
    ],
)
def test_a_hit_blocks_and_names_no_entry(decision: Decision) -> None:
    """Whoever reads log, page or alert learns that a list decided, never what stands in it (IWF-8)."""
    assert decision.action is Action.BLOCK
    assert decision.reason is Reason.FLOOR
    assert (decision.floor, decision.flagged, decision.severity) == (True, True, Severity.CRITICAL)
    assert decision.entry == ""
    assert "listed.example" not in repr(decision)


def test_a_hit_names_list_version_and_category() -> None:
    """The safeguarding lead must know which list it was, and how old."""
    decision = floor.hit(HIT, "staff", "v1")
    assert (decision.list, decision.list_version, decision.category) == ("iwf", "2026-11-21", "csam")
    assert (decision.profile, decision.policy_version, decision.rule) == ("staff", "v1", floor.RULE)


@pytest.mark.parametrize("state", FloorState)
def test_an_unavailable_floor_closes_the_gate_without_blame(state: FloorState) -> None:
    """The gate is closed and the record says why, but it is no incident of the person who asked."""
    decision = floor.unavailable(Floor(state), "staff", "v1")
    assert decision.blocked
    assert decision.reason is Reason.FLOOR_UNAVAILABLE
    assert (decision.floor, decision.flagged, decision.severity) == (False, True, Severity.LOW)
    assert decision.because.endswith(".")
