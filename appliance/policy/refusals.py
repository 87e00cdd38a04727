"""Decisions in which the school's policy has no part: what cannot be judged, what failed, what is our own.

What lives only here: how such a decision looks, and under which category a site counts that has no name.
"""

from __future__ import annotations

from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import Match
from appliance.model.profile import Policy, Profile
from appliance.model.url import Url

NUMBERED = "ip_address"
"""The category of a site that is called by number: most ways round a filter are (evasion: IP literal)."""


def numbered(url: Url) -> Match:
    """Return what is known of a site that is called by number, where no list says more."""
    return Match("built-in", "1", url.host, (NUMBERED,))


def own_page(profile: Profile, policy: Policy) -> Decision:
    """Return the decision for an address of the gateway's own."""
    because = "The gateway answers this address itself; no site is asked."
    return Decision(Action.ALLOW, Reason.OWN_PAGE, because, profile.id, policy_version=policy.version)


def refusal(reason: Reason, because: str, profile: Profile, policy: Policy) -> Decision:
    """Return the closed decision for what no rule was asked about."""
    return Decision(
        action=Action.BLOCK,
        reason=reason,
        because=because,
        profile=profile.id,
        severity=Severity.LOW,
        # A site that is down is no attempt at anything; everything else here may be one.
        flagged=reason is not Reason.UPSTREAM_UNREACHABLE,
        policy_version=policy.version,
    )
