"""What a profile makes of the categories under which a site is listed.

What lives only here: which categories count (an educational game is in every list of games as well,
so the narrower category lifts the broader), and which of several rules decides: the strictest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache

from appliance.model.category import Category, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import Match, Use
from appliance.model.person import Person
from appliance.model.profile import Profile, Rating, Rule
from appliance.policy.rules import OPENS, STRICTNESS, outcome

BECAUSE_UNRATED = "No rule in this profile rates this kind of site, and what is not rated is blocked."

type Listed = tuple[str, Match]
"""A category, and the list entry which says that the site is in it."""

_UNNAMED = ("",)  # a list that names a site but no category: nothing rates it, so it blocks


def listed(matches: Iterable[Match]) -> list[Listed]:
    """Return every category that the category lists give, each with the entry that gives it."""
    return [
        (category, match)
        for match in matches
        if match.use is Use.CATEGORY
        for category in match.categories or _UNNAMED
    ]


def illegal(found: Iterable[Listed], profile: Profile) -> Listed | None:
    """Return the first of `found` that the profile rates unacceptable and illegal."""
    for entry in found:
        rule = profile.rules.get(entry[0])
        if rule is not None and rule.rating is Rating.ILLEGAL:
            return entry
    return None


def counting(found: list[Listed], categories: Mapping[str, Category]) -> list[Listed]:
    """Return `found` without the broader categories that a narrower one lifts.

    If all lift each other in a circle, nothing is lifted: a site never becomes unlisted this way.
    """
    if len(found) <= 1:
        return found
    lifted: set[str] = set()
    for category, _ in found:
        if (known := categories.get(category)) is not None and known.lifts:
            lifted |= known.lifts
    if not lifted:
        return found
    return [entry for entry in found if entry[0] not in lifted] or found


def strictest_rule(
    counted: list[Listed],
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    version: str,
) -> Decision:
    """Return the decision of the strictest rule among the categories that count (at least one)."""
    if len(counted) == 1:
        category, match = counted[0]
        reason = outcome(profile.rules.get(category), person, now)
        return rated(category, match, reason, profile, categories, version)
    judged = [(outcome(profile.rules.get(entry[0]), person, now), entry) for entry in counted]
    reason, (category, match) = max(judged, key=lambda item: _weight(item[0], item[1], profile, categories))
    return rated(category, match, reason, profile, categories, version)


def rated(
    category: str,
    match: Match | None,
    reason: Reason,
    profile: Profile,
    categories: Mapping[str, Category],
    version: str,
) -> Decision:
    """Return the decision for `reason`, with the rule and the list entry that led to it."""
    rule = profile.rules.get(category)
    because, where, watched = (rule.because, rule.where, rule.watch) if rule else (BECAUSE_UNRATED, "", False)
    if reason is Reason.OUT_OF_TIME and rule and rule.timetable and rule.timetable.words:
        # Whoever stands before a closed page learns when to come back.
        because = f"{because} It is open {rule.timetable.words}."
    source = (match.list, match.version, match.entry) if match else ("", "", "")
    weight = severity(category, categories)
    return _decision(reason, because, profile.id, category, where, *source, weight, watched, version)


def unlisted(profile: Profile, version: str) -> Decision:
    """Return what the profile decides for a site that no list names."""
    because, where = profile.unknown_because, profile.unknown_where
    action = Action.ALLOW if profile.allow_unknown else Action.BLOCK
    return _unlisted(action, because, profile.id, where, version)


def severity(category: str, categories: Mapping[str, Category]) -> Severity:
    """Return how much an attempt to reach `category` matters; one that nobody knows is medium."""
    known = categories.get(category)
    return known.severity if known is not None else Severity.MEDIUM


# Building a Decision costs more than everything else on the way to it, and most requests go to the
# same few sites: the values are frozen, so that equal answers may as well be the same object.
@lru_cache(maxsize=4096)
def _decision(  # noqa: PLR0917 - the arguments are the cache's key; naming them would double its cost
    reason: Reason,
    because: str,
    profile: str,
    category: str,
    where: str,
    source: str,
    source_version: str,
    entry: str,
    weight: Severity,
    watched: bool,  # noqa: FBT001 - part of the same key
    version: str,
) -> Decision:
    opens = reason in OPENS
    return Decision(
        Action.ALLOW if opens else Action.BLOCK,
        reason,
        because,
        profile,
        category,
        where,
        source,
        source_version,
        entry,
        severity=Severity.INFO if opens and not watched else weight,
        # A blocked advert or tracker is no attempt at anything: it is recorded, but holds nobody up.
        flagged=watched or (not opens and weight > Severity.INFO),
        policy_version=version,
    )


@lru_cache(maxsize=256)
def _unlisted(action: Action, because: str, profile: str, where: str, version: str) -> Decision:
    allowed = action is Action.ALLOW
    return Decision(
        action,
        Reason.UNLISTED if allowed else Reason.UNLISTED_BLOCKED,
        because,
        profile,
        rule=where,
        severity=Severity.INFO if allowed else Severity.LOW,
        flagged=not allowed,
        policy_version=version,
    )


def _weight(
    reason: Reason, entry: Listed, profile: Profile, categories: Mapping[str, Category]
) -> tuple[bool, bool, int, int, str, str]:
    # Blocked before allowed; then what the safeguarding lead most needs to know; the names at the
    # end only make the answer independent of the order in which the lists were asked.
    category, match = entry
    rule: Rule | None = profile.rules.get(category)
    watched = rule is not None and rule.watch
    return (
        reason not in OPENS,
        watched,
        severity(category, categories),
        STRICTNESS[reason],
        category,
        match.list,
    )
