"""Whether somebody may be here at all: frozen, removed for a time, or not signed in yet.

What lives only here: the decisions that follow from a person's standing, whatever they ask for. Help lines
are judged before it, and so are the statutory lists, whose hits are recorded as such.
"""

from __future__ import annotations

from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.person import Standing

RULE = "standing"
"""What stands in a decision's `rule` when who asks decided, and not what was asked for."""

_REASONS = {
    Standing.FROZEN: Reason.FROZEN,
    Standing.REMOVED: Reason.REMOVED,
    Standing.SIGNED_OUT: Reason.SIGNED_OUT,
}
BECAUSE = {
    Standing.FROZEN: "The school has stopped access for this account; only help lines are open.",
    Standing.REMOVED: "The school has taken access away for a time; only help lines are open.",
    Standing.SIGNED_OUT: "Here one signs in first; until then only help lines are open.",
}


def stopped(standing: Standing, profile: str, version: str) -> Decision | None:
    """Return the block that follows from `standing`, or None where it leaves everything open.

    What a stopped account still tries is flagged; a device that waits for its sign-in is not, for it
    asks for a hundred things while nobody has touched it.
    """
    reason = _REASONS.get(standing)
    if reason is None:
        return None
    return Decision(
        Action.BLOCK,
        reason,
        BECAUSE[standing],
        profile,
        rule=RULE,
        severity=Severity.INFO if standing is Standing.SIGNED_OUT else Severity.LOW,
        flagged=standing is not Standing.SIGNED_OUT,
        policy_version=version,
    )
