"""The floor: what the law requires to be blocked, before and outside of every profile.

What lives only here: the decisions that no rule, list entry, timetable or person can change
(S-18, S-19, DFE-F2, UKF-I3). A hit names its list, never the entry or the address.
"""

from __future__ import annotations

from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import Floor, FloorState, Match

RULE = "statutory floor"
"""What stands in a decision's `rule` when no profile decided."""

BECAUSE_LISTED = (
    "This address is on a list of illegal material that every school must block; nobody here can open it."
)
BECAUSE_REPEATED = (
    "Several addresses on lists of illegal material were asked for from here; for a while nothing is opened."
)
BECAUSE_CATEGORY = "This kind of material is against the law, and every school must block it."
BECAUSE_UNAVAILABLE = {
    FloorState.MISSING: "The lists of illegal material are missing, so that no site can be checked.",
    FloorState.UNREADABLE: "The lists of illegal material cannot be read, so that no site can be checked.",
    FloorState.STALE: "The lists of illegal material are too old to be relied upon.",
}


def hit(floor: Floor, profile: str, version: str) -> Decision:
    """Return the block for an address that a statutory list names. No entry is ever shown."""
    return Decision(
        Action.BLOCK,
        Reason.FLOOR,
        BECAUSE_LISTED,
        profile,
        category=floor.category,
        rule=RULE,
        list=floor.list,
        list_version=floor.version,
        floor=True,
        severity=Severity.CRITICAL,
        flagged=True,
        policy_version=version,
    )


def repeated(profile: str, version: str) -> Decision:
    """Return the block for a client that has met the statutory lists too often of late.

    It is the same for every address, listed or not, and the record keeps none of them.
    """
    return Decision(
        Action.BLOCK,
        Reason.FLOOR_REPEATED,
        BECAUSE_REPEATED,
        profile,
        rule=RULE,
        floor=True,
        severity=Severity.CRITICAL,
        flagged=True,
        policy_version=version,
    )


def category(category_id: str, match: Match | None, profile: str, version: str) -> Decision:
    """Return the block for a floor category, named by an ordinary list (`match`) or asked for alone."""
    return Decision(
        Action.BLOCK,
        Reason.FLOOR,
        BECAUSE_CATEGORY,
        profile,
        category=category_id,
        rule=RULE,
        list=match.list if match else "",
        list_version=match.version if match else "",
        floor=True,
        severity=Severity.CRITICAL,
        flagged=True,
        policy_version=version,
    )


def unavailable(floor: Floor, profile: str, version: str) -> Decision:
    """Return the block that closes the gate while the statutory lists cannot be relied upon.

    It is flagged, but of low severity: the person who asked did nothing wrong.
    """
    return Decision(
        Action.BLOCK,
        Reason.FLOOR_UNAVAILABLE,
        BECAUSE_UNAVAILABLE.get(floor.state, BECAUSE_UNAVAILABLE[FloorState.UNREADABLE]),
        profile,
        rule=RULE,
        severity=Severity.LOW,
        flagged=True,
        policy_version=version,
    )
