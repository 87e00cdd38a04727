"""The school's own decisions: one site opened or closed by hand.

What lives only here: which of several local entries wins. The longer one is the more specific; where
two are equally long, the block wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.model.category import Category, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import Match, Use
from appliance.policy.profile import Listed, severity

BECAUSE_BLOCKED = "The school has decided to block this site."
BECAUSE_ALLOWED = "The school has decided to open this site."


def winner(matches: Iterable[Match]) -> Match | None:
    """Return the local entry that decides, or None where the school has none for this site."""
    best: Match | None = None
    for match in matches:
        local = match.use is Use.BLOCK or match.use is Use.ALLOW
        if local and (best is None or _weight(match) > _weight(best)):
            best = match
    return best


def decision(
    match: Match, found: Iterable[Listed], profile: str, categories: Mapping[str, Category], version: str
) -> Decision:
    """Return what the local entry `match` decides.

    A local block takes over the most severe category under which the site is listed as well, so that
    an attempt to reach a self-harm site is not reported as a trifle because the school blocked it too.
    """
    if match.use is Use.ALLOW:
        because = match.because or BECAUSE_ALLOWED
        return _decision(
            Action.ALLOW, Reason.LOCAL_ALLOW, because, match, profile, "", Severity.INFO, version
        )
    worst = max(((severity(name, categories), name) for name, _ in found), default=(Severity.LOW, ""))
    because = match.because or BECAUSE_BLOCKED
    weight = max(worst[0], Severity.LOW)
    return _decision(Action.BLOCK, Reason.LOCAL_BLOCK, because, match, profile, worst[1], weight, version)


def _decision(
    action: Action,
    reason: Reason,
    because: str,
    match: Match,
    profile: str,
    category: str,
    weight: Severity,
    version: str,
) -> Decision:
    return Decision(
        action,
        reason,
        because,
        profile,
        category=category,
        rule=f"{match.list}: {match.entry}",
        list=match.list,
        list_version=match.version,
        entry=match.entry,
        severity=weight,
        flagged=action is Action.BLOCK,
        policy_version=version,
    )


def _weight(match: Match) -> tuple[int, bool, str, str]:
    return (match.length, match.use is Use.BLOCK, match.list, match.entry)
