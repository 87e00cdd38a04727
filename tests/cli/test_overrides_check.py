from __future__ import annotations

import pytest

from appliance.cli.overrides_check import CANNOT, actor_of
from appliance.identity.accounts import Account
from appliance.model.person import Kind
from appliance.model.profile import ProfileSet
from appliance.overrides.names import OverrideError
from tests.overrides.test_limits import role

SCHOOL = ProfileSet(
    "hill",
    "Hill",
    "ks2",
    {},
    roles={
        "teacher": role(groups=frozenset({"staff"})),
        "tech": role("tech", people=frozenset({"root"})),
    },
)
JONES = Account("mrs.jones", Kind.STAFF, "staff", "")


def test_only_staff_with_a_role_ask_or_decide() -> None:
    """A pupil's name, an account that is off, and a name that nobody has open nothing."""
    assert [one.id for one in actor_of("mrs.jones", [JONES], SCHOOL).roles] == ["teacher"]
    assert [one.id for one in actor_of("root", [], SCHOOL).roles] == ["tech"]
    for name, accounts in (
        ("amy", [Account("amy", Kind.INDIVIDUAL, "staff", "")]),
        ("mrs.jones", [Account("mrs.jones", Kind.STAFF, "staff", "", disabled=True)]),
        ("nobody", [JONES]),
        ("mrs.jones", [Account("mrs.jones", Kind.STAFF, "office", "")]),
    ):
        with pytest.raises(OverrideError):
            actor_of(name, accounts, SCHOOL)


def test_the_sentence_for_what_cannot_be_opened_names_nothing() -> None:
    """It must read the same for a statutory list and for a role's limit, so it may name neither."""
    assert "list" not in CANNOT
    assert "{" not in CANNOT
