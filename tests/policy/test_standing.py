from __future__ import annotations

import pytest

from appliance.model.decision import Reason
from appliance.model.person import Standing
from appliance.policy.standing import stopped


@pytest.mark.parametrize(
    ("standing", "reason", "flagged"),
    [
        (Standing.FROZEN, Reason.FROZEN, True),
        (Standing.REMOVED, Reason.REMOVED, True),
        (Standing.SIGNED_OUT, Reason.SIGNED_OUT, False),
    ],
)
def test_who_may_not_be_here_is_stopped_with_a_reason(
    standing: Standing, reason: Reason, flagged: bool
) -> None:
    """S-60, S-62: attempts of a stopped account are recorded; a waiting device fills no log."""
    decision = stopped(standing, "ks2", "v")
    assert decision is not None
    assert decision.blocked
    assert (decision.reason, decision.flagged, decision.profile) == (reason, flagged, "ks2")


def test_everybody_else_goes_on() -> None:
    """An open standing decides nothing: the profile does."""
    assert stopped(Standing.OPEN, "ks2", "v") is None
