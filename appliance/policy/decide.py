"""The order of judgement: what is asked first, and why there.

What lives only here: that order, spelled once. It never raises, whatever it is given, and every
answer carries its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from appliance.model.category import Category, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import FloorState, Known, Match, Use
from appliance.model.person import Person
from appliance.model.profile import Profile
from appliance.policy import floor, local
from appliance.policy import profile as profiles
from appliance.policy.rules import STRICTNESS, outcome

BECAUSE_HELP = "Places that help are open to everybody, always."
BECAUSE_NOTHING = "There was nothing to judge, and what is not judged is not let through."


def decide(
    known: Known,
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    policy_version: str = "",
) -> Decision:
    """Judge one address by what the lists know of it.

    `now` is an aware moment. Returns one Decision; raises nothing.
    """
    # The floor is asked first: nothing that follows may open what the law closes (DFE-F2).
    if known.floor.hit:
        return floor.hit(known.floor, profile.id, policy_version)
    # Help comes before the floor's health: a filter that is failing must not cut off a child (S-54).
    for match in known.matches:
        if match.use is Use.HELP:
            return _help(match, profile.id, policy_version)
    # From here on the floor must have been able to answer; otherwise the gate is closed.
    if known.floor.state is not FloorState.OK:
        return floor.unavailable(known.floor, profile.id, policy_version)
    if not known.matches:
        return profiles.unlisted(profile, policy_version)
    return _listed(known.matches, person, now, profile, categories, policy_version)


def decide_category(
    category_id: str,
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    policy_version: str = "",
) -> Decision:
    """Ask the policy alone: what would become of a site in `category_id`? Raises nothing."""
    category = categories.get(category_id)
    if category is not None and category.floor:
        return floor.category(category_id, None, profile.id, policy_version)
    reason = outcome(profile.rules.get(category_id), person, now)
    return profiles.rated(category_id, None, reason, profile, categories, policy_version)


def strictest(decisions: Sequence[Decision]) -> Decision:
    """Return the decision that stands when one request has several names.

    Any blocked means blocked, and the most severe block is the one reported, whatever the order.
    No decision at all is a block: nothing passes unjudged.
    """
    if not decisions:
        return Decision(Action.BLOCK, Reason.FAULT, BECAUSE_NOTHING, "", severity=Severity.LOW, flagged=True)
    if len(decisions) == 1:
        return decisions[0]
    chosen = max(decisions, key=_weight)
    if chosen.override and not chosen.flagged and any(decision.flagged for decision in decisions):
        return replace(chosen, flagged=True)  # opened, and one of its names is watched
    return chosen


def _listed(
    matches: Sequence[Match],
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    version: str,
) -> Decision:
    found = profiles.listed(matches)
    # Illegal material comes before the school's own entries: a local allow cannot open it.
    for category_id, match in found:
        category = categories.get(category_id)
        if category is not None and category.floor:
            return floor.category(category_id, match, profile.id, version)
    if (entry := profiles.illegal(found, profile)) is not None:
        return profiles.rated(*entry, Reason.ILLEGAL, profile, categories, version)
    # The school's own word on this very site is more specific than any category.
    if (entry_of_school := local.winner(matches)) is not None:
        return local.decision(entry_of_school, found, profile.id, categories, version)
    # Then the profile's rules, and only now the lifting: it must not hide what is illegal.
    if found:
        counted = profiles.counting(found, categories)
        return profiles.strictest_rule(counted, person, now, profile, categories, version)
    return profiles.unlisted(profile, version)


def _help(match: Match, profile: str, version: str) -> Decision:
    return Decision(
        Action.ALLOW,
        Reason.HELP,
        match.because or BECAUSE_HELP,
        profile,
        list=match.list,
        list_version=match.version,
        entry=match.entry,
        policy_version=version,
    )


def _weight(decision: Decision) -> tuple[bool, bool, bool, int, bool, int, str, str, str, str, str, str]:
    # The texts at the end only make the answer independent of the order of the names.
    return (
        decision.blocked,
        decision.floor,
        bool(decision.override),  # what lives by an override is recorded as that
        decision.severity,
        decision.flagged,
        STRICTNESS.get(decision.reason, 0),
        decision.reason,
        decision.category,
        decision.list,
        decision.entry,
        decision.rule,
        decision.because,
    )
