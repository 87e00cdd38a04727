"""Decisions."""

from __future__ import annotations

from appliance.model.decision import Action, Decision, Reason


def test_a_decision_is_blocked_unless_it_allows() -> None:
    """There is no third outcome between a pupil and a site."""
    assert Decision(Action.BLOCK, Reason.FAULT, "", "ks2").blocked
    assert not Decision(Action.ALLOW, Reason.HELP, "", "ks2").blocked
