"""How far a connection is looked into: what is asked first, and why there.

What lives only here: that order, spelled once. What the lists must see is seen in any case; then the
school's word on the site counts, then what the site is about, then what cannot be decrypted, then the
profile's rule for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from appliance.model.category import Category
from appliance.model.inspect import DEPTH, Inspect, Inspection, Sites, Traits
from appliance.model.known import Match
from appliance.model.profile import Profile
from appliance.policy.profile import listed

BECAUSE_PAGES = "A list names single pages of this site, which cannot be told from its name."
BECAUSE_NO_NAME = "The connection does not say which site it is for."
BECAUSE_NOTHING = "There was nothing to go by, and what is not known is looked into."


def inspection(
    host: str,
    matches: Sequence[Match],
    traits: Traits,
    profile: Profile,
    categories: Mapping[str, Category],
    sites: Sites,
) -> Inspection:
    """Return how far connections to `host` are looked into for people of `profile`, and why."""
    wished = _wished(host, matches, traits, profile, categories, sites)
    # Above everything: a statutory list names pages, and nothing may hide those from it (S-18).
    if traits.pages and wished.level is Inspect.NEVER:
        return Inspection(Inspect.ADDRESSES, BECAUSE_PAGES)
    return wished


def deepest(found: Iterable[Inspection]) -> Inspection:
    """Return what holds for a connection with several names: the one that looks furthest."""
    return max(
        found, key=lambda one: DEPTH[one.level], default=Inspection(Inspect.ADDRESSES, BECAUSE_NOTHING)
    )


def _wished(
    host: str,
    matches: Sequence[Match],
    traits: Traits,
    profile: Profile,
    categories: Mapping[str, Category],
    sites: Sites,
) -> Inspection:
    if (site := sites.of(host)) is not None:
        return Inspection(site.level, site.because, site.where)
    about = [one for name, _ in listed(matches) if (one := _category(name, profile, categories))]
    never = next((one for one in about if one.level is Inspect.NEVER), None)
    if never is not None:
        return never
    if traits.pinned:
        return Inspection(Inspect.NEVER, traits.pinned)
    if about:
        return deepest(about)
    return Inspection(profile.inspect, profile.inspect_because, profile.inspect_where)


def _category(name: str, profile: Profile, categories: Mapping[str, Category]) -> Inspection | None:
    rule, category = profile.rules.get(name), categories.get(name)
    title = category.title if category is not None else name
    if rule is not None and rule.inspect is not None:
        because = f"This profile says so of sites about {title.lower()!r}."
        return Inspection(rule.inspect, because, rule.where)
    if category is not None and category.inspect is not None:
        return Inspection(category.inspect, f"This holds for all sites about {title.lower()!r}.")
    return None
