from __future__ import annotations

import pytest

from appliance.model.grant import What, Whom
from appliance.model.role import Grants, Role
from appliance.overrides.limits import check_groups, check_time, check_yes, roles_of
from appliance.overrides.names import OverrideError
from appliance.overrides.written import Wish

NOW = 1_000_000.0


def role(name: str = "teacher", grants: Grants = Grants.AT_ONCE, **changes: object) -> Role:
    values: dict[str, object] = {
        "opens_for": frozenset({"ks2"}),
        "categories": frozenset({"blogs"}),
        **changes,
    }
    return Role(name, name.title(), "So.", "roles.yaml:3", grants, 120, 14, **values)  # type: ignore[arg-type]  # fields


def wish(minutes: float = 60, ahead: float = 0, categories: tuple[str, ...] = ()) -> Wish:
    what = What(frozenset({"a.example"}), categories=frozenset(categories))
    starts = NOW + ahead
    return Wish(
        what, Whom(groups=frozenset({"ks2"})), "We need it now.", "Art", starts, starts + minutes * 60
    )


def test_time_is_limited_by_the_role() -> None:
    """No teacher leaves a site open for a year, and nobody plans further ahead than the role says."""
    check_time(wish(120), role(), NOW)
    check_time(wish(60, 13 * 86_400), role(), NOW)
    with pytest.raises(OverrideError, match="120 minutes at most"):
        check_time(wish(121), role(), NOW)
    with pytest.raises(OverrideError, match="within 14 days"):
        check_time(wish(60, 15 * 86_400), role(), NOW)


def test_what_has_begun_already_counts_from_now() -> None:
    """A request that waited is not too long for the time that is left of it."""
    check_time(wish(180, -3600), role(), NOW)


def test_two_persons_where_the_role_wants_two() -> None:
    """T:207: where it matters nobody opens something on their own word alone."""
    check_yes(role(), asked_by="a", by="a")
    check_yes(role(grants=Grants.FOR_OTHERS), asked_by="a", by="b")
    with pytest.raises(OverrideError, match="somebody else"):
        check_yes(role(grants=Grants.FOR_OTHERS), asked_by="a", by="a")
    with pytest.raises(OverrideError, match="may ask"):
        check_yes(role(grants=Grants.NOTHING), asked_by="a", by="b")


def test_a_role_opens_only_what_and_for_whom_it_says() -> None:
    """A limit that is told before anything is granted saves a lesson."""
    check_groups(wish(), ["ks2"], role())
    with pytest.raises(OverrideError, match="nothing for 'ks1'"):
        check_groups(wish(), ["ks2", "ks1"], role())
    with pytest.raises(OverrideError, match="may not open drugs"):
        check_groups(wish(categories=("blogs", "drugs")), ["ks2"], role())


def test_who_is_named_comes_before_who_belongs_to_a_group() -> None:
    """A head who is a teacher as well acts as head first."""
    roles = {
        "teacher": role(groups=frozenset({"staff"})),
        "head": role("head", people=frozenset({"mrs.jones"})),
    }
    assert [one.id for one in roles_of("mrs.jones", "staff", roles)] == ["head", "teacher"]
    assert [one.id for one in roles_of("mr.smith", "staff", roles)] == ["teacher"]
    assert roles_of("amy", "ks2", roles) == []
    assert roles_of("root", "", roles) == []
