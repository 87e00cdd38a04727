"""Whether an override can do what it is for: the journey of a request is asked, as if it were in force.

What lives only here: that question, before anything is granted. Whatever cannot be opened is refused with
one sentence, and kept nowhere, so that nobody finds out in this way what is on a statutory list.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance import asking, assembly
from appliance.assembly import Loaded
from appliance.config.problems import unknown
from appliance.filtering import Filtering
from appliance.identity.accounts import Account
from appliance.model.decision import Reason
from appliance.model.grant import Grant
from appliance.model.person import Confidence, Kind, Person
from appliance.model.profile import ProfileSet, Rating
from appliance.model.request import Request
from appliance.model.role import Role
from appliance.model.url import Url, parse_url
from appliance.overrides.limits import check_groups, check_time, check_yes, roles_of
from appliance.overrides.names import OverrideError
from appliance.overrides.written import Wish
from appliance.policy.overrides import Grants

CANNOT = (
    "this cannot be opened by an override: something of it is closed by what your role may not open, or by "
    "what nobody may; nothing was kept of it"
)
"""The one sentence for all that cannot be opened."""


_MOMENT = 0.01


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks or decides: their name, and their roles."""

    name: str
    roles: tuple[Role, ...]


def actor_of(name: str, accounts: Collection[Account], school: ProfileSet) -> Actor:
    """Return whoever `name` is; OverrideError unless they are staff with a role."""
    account = next((one for one in accounts if one.name == name), None)
    if account is not None and (account.kind is not Kind.STAFF or not account.usable(time.time())):
        raise OverrideError(f"{name!a} is no account of staff that is in use; staff ask for overrides (--by)")
    roles = roles_of(name, account.group if account else "", school.roles)
    if not roles:
        known = {one for role in school.roles.values() for one in role.people}
        known |= {one.name for one in accounts if one.kind is Kind.STAFF}
        where = f"profiles/{school.id}/roles.yaml"
        raise OverrideError(
            f"{unknown('member of staff', name, known)}; say who with --by, and give them a role in {where}"
        )
    return Actor(name, tuple(roles))


def role_to_grant(
    wish: Wish, actor: Actor, asked_by: str, loaded: Loaded, accounts: Collection[Account], now: float
) -> tuple[Role, list[str]]:
    """Return the role in which `actor` may grant a wish, and what should be known about it.

    OverrideError where none of their roles may.
    """
    problems: list[OverrideError] = []
    for role in actor.roles:
        try:
            check_yes(role, asked_by=asked_by, by=actor.name)
            check_time(wish, role, now)
            return role, could_open(wish, role, loaded, accounts)
        except OverrideError as error:
            problems.append(error)
    # What the last role lacks is told where it says more than that something is closed.
    raise next((one for one in problems if str(one) != CANNOT), problems[0])


def could_open(wish: Wish, role: Role, loaded: Loaded, accounts: Collection[Account]) -> list[str]:
    """Return what should be known of a wish that `role` can open; OverrideError where it cannot."""
    school = loaded.policy.sets[loaded.settings.school.set]
    groups = wish.whom.groups | {one.group for one in accounts if one.name in wish.whom.persons}
    check_groups(wish, groups, role)
    for group in groups or role.opens_for:
        for name in wish.what.categories:
            rule = school.profiles[group].rules.get(name)
            if rule is not None and rule.rating is Rating.ILLEGAL:
                raise OverrideError(CANNOT)
    addresses = [parse_url(f"https://{host}/") for host in sorted(wish.what.hosts)]
    addresses += [parse_url(f"https://{host}{path}") for host, path in sorted(wish.what.pages)]
    if not addresses:
        return []
    with asking.lists_to_ask(loaded.settings) as (lists, notes):
        journey = assembly.filtering(loaded.settings, loaded.policy, lists)
        return notes + _asked(journey, wish, role, addresses, list(_people(wish, role, accounts)))


def _asked(
    journey: Filtering, wish: Wish, role: Role, addresses: Iterable[Url], people: list[Person]
) -> list[str]:
    grant = Grant(1, wish.what, wish.whom, role.id, wish.starts, wish.ends)
    # A moment later: a datetime has fewer digits than the clock, and may lie before the beginning otherwise.
    when = datetime.fromtimestamp(wish.starts + _MOMENT, UTC)
    client = next((str(net[0]) for net in wish.whom.networks), "")
    client = client or next((one for one in wish.whom.devices if one[:1].isdigit()), "")
    notes = []
    for url in addresses:
        found = []
        for person in people:
            request = Request(url, client=client)
            journey.grant(Grants())
            if not journey.judge(request, person, when).decision.blocked:
                notes.append(f"{url.host} is open for {person.name or person.group} without it")
                continue
            journey.grant(Grants([grant]))
            found.append(journey.judge(request, person, when).decision.reason is Reason.OVERRIDE)
        if not all(found):
            raise OverrideError(CANNOT)
    return notes


def _people(wish: Wish, role: Role, accounts: Collection[Account]) -> Iterable[Person]:
    device = next(iter(sorted(wish.whom.devices)), "")
    for account in accounts:
        if account.name in wish.whom.persons:
            yield Person(account.group, "override", Confidence.CERTAIN, account.name, device)
    for group in sorted(wish.whom.groups):
        yield Person(group, "override", Confidence.GROUP, "", device)
    if not (wish.whom.persons or wish.whom.groups):
        for group in sorted(role.opens_for):
            yield Person(group, "override", Confidence.GROUP, "", device)
