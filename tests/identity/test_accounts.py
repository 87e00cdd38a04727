from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.identity.names import IdentityError
from appliance.model.person import Kind
from tests.doubles.people import NOW, TABLET, WORD, school


@pytest.mark.slow
def test_an_account_reads_back_as_it_was_kept(tmp_path: Path) -> None:
    """Nothing of an account is lost on the way to the disk, and any spelling finds it."""
    made = school(tmp_path)
    kept = made.add(
        "Zoë", Kind.GUEST, "guest", sponsor="head", purpose="Talk", devices=2, expires=NOW + 9, starts=NOW
    )
    assert made.accounts.get("ZOË") == kept
    assert made.accounts.find("nobody") is None
    with pytest.raises(IdentityError, match="did you mean Zoë"):
        made.accounts.get("Zoëy")


@pytest.mark.slow
def test_a_name_exists_once(tmp_path: Path) -> None:
    """Duplicate accounts: two people never share one name, and nobody is overwritten."""
    made = school(tmp_path)
    first = made.add("amy")
    with pytest.raises(IdentityError, match="already"):
        made.accounts.add(replace(first, name="bob"), replace(first, name="AMY"))
    assert [account.name for account in made.accounts.all()] == ["amy"]


@pytest.mark.slow
def test_whoever_loses_the_account_loses_the_sessions(tmp_path: Path) -> None:
    """A disabled leaver or a changed password ends what is open in the same moment."""
    made = school(tmp_path)
    for change in ({"disabled": True}, {"password": ""}, {"expires": NOW}):
        account = made.accounts.find("amy") or made.add("amy")
        made.sessions.begin(replace(account, expires=None), TABLET, NOW, NOW + 99)
        made.accounts.change("amy", **change)
        assert made.sessions.open(NOW) == []
    made.accounts.remove("Amy")
    assert made.accounts.all() == []


@pytest.mark.slow
def test_an_own_password_keeps_the_session(tmp_path: Path) -> None:
    """Who chooses a new password at the sign-in is not thrown out by it."""
    made = school(tmp_path)
    account = made.add("amy", must_change=True)
    made.sessions.begin(account, TABLET, NOW, NOW + 99)
    made.accounts.own_password(account, "hash", NOW + 1)
    assert made.accounts.get("amy").must_change is False
    assert len(made.sessions.open(NOW)) == 1


@pytest.mark.slow
def test_the_accepted_version_is_recorded_with_its_moment(tmp_path: Path) -> None:
    """S-09: which agreement, when, from where; accepting again changes nothing."""
    made = school(tmp_path)
    account = made.add("amy")
    made.accounts.accept(account, "2026-09", "10.20.0.14", NOW)
    made.accounts.accept(account, "2026-09", "10.20.0.99", NOW + 5)
    assert [(a.version, a.at, a.address) for a in made.accounts.agreed("AMY")] == [
        ("2026-09", NOW, "10.20.0.14")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({}, True),
        ({"disabled": True}, False),
        ({"expires": NOW}, False),
        ({"starts": NOW + 1}, False),
        ({"expires": NOW + 1}, True),
    ],
)
def test_an_account_is_usable_within_its_time(change: dict[str, Any], usable: bool, tmp_path: Path) -> None:
    """S-08: a guest's access begins and ends to the second."""
    account = school(tmp_path).add("amy")
    assert replace(account, **change).usable(NOW) is usable
    assert WORD.reveal() not in repr(account)
