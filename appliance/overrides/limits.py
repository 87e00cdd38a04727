"""What a role may grant: the check before anything is opened.

What lives only here: a role's limits on time and on who may say yes. What a role may open at all is judged
with each request (`policy.overrides`), so that nothing here has to be believed later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.model.role import Grants, Role
from appliance.overrides.names import OverrideError
from appliance.overrides.written import Wish

_MINUTE, _DAY = 60.0, 86_400.0


def roles_of(name: str, group: str, roles: Mapping[str, Role]) -> list[Role]:
    """Return the roles of somebody: those that name them first, then those of their group."""
    named = [role for role in roles.values() if name in role.people]
    return named + [role for role in roles.values() if group and group in role.groups and role not in named]


def check_time(wish: Wish, role: Role, now: float) -> None:
    """Raise OverrideError where the time is longer, or further ahead, than the role may grant."""
    longest = role.longest_minutes * _MINUTE
    if wish.ends - max(now, wish.starts) > longest:
        raise OverrideError(
            f"{role.title} may open something for {role.longest_minutes} minutes at most ({role.where}); "
            "give an earlier end, or let a role with more time grant it (`appliance overrides request`)"
        )
    if wish.starts - now > role.ahead_days * _DAY:
        raise OverrideError(
            f"{role.title} may open something that begins within {role.ahead_days} days ({role.where})"
        )


def check_yes(role: Role, *, asked_by: str, by: str) -> None:
    """Raise OverrideError where somebody in this role may not say yes to what `asked_by` has asked for."""
    if role.grants is Grants.NOTHING:
        raise OverrideError(f"{role.title} may ask for overrides, and not grant them ({role.where})")
    if role.grants is Grants.FOR_OTHERS and asked_by == by:
        raise OverrideError(
            f"{role.title} may grant what somebody else has asked for, and not their own wish "
            f"({role.where}); somebody else has to grant it"
        )


def check_groups(wish: Wish, groups: Iterable[str], role: Role) -> None:
    """Raise OverrideError where it is for people of a profile for whom the role may open nothing."""
    for group in sorted(set(groups)):
        if group not in role.opens_for:
            raise OverrideError(
                f"{role.title} may open nothing for {group!r} ({role.where}); for: "
                f"{', '.join(sorted(role.opens_for))}"
            )
    if wish.what.categories - role.categories:
        names = ", ".join(sorted(wish.what.categories - role.categories))
        raise OverrideError(f"{role.title} may not open {names} ({role.where})")
