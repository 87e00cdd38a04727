from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.outside import (
    DIRECTORY,
    DuplicateError,
    Found,
    UnreachableError,
    admit,
    without_realm,
)
from appliance.model.person import Kind
from tests.doubles.people import NOW, TABLET, school


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("amy", "amy"),
        ("WEST\\amy", "amy"),
        ("amy@West.example", "amy"),
        ("amy@other.example", "amy@other.example"),
        ("OTHER\\amy", "OTHER\\amy"),
        ("amy@other@west.example", "amy@other"),
        ("@west.example", ""),
        ("zoë@WEST.EXAMPLE", "zoë"),
    ],
)
def test_a_realm_of_ours_is_no_part_of_the_name(typed: str, name: str) -> None:
    """One person is one account, however they write themselves, and a stranger's realm stays visible."""
    assert without_realm(typed, ["west", "west.example"]) == name


@pytest.mark.slow
def test_what_another_system_says_becomes_an_account_for_a_time(tmp_path: Path) -> None:
    """Fail closed: what a directory said counts for its time, and a new answer for a new one."""
    made = school(tmp_path)
    account = admit(made.accounts, Found("Amy", "ks2"), DIRECTORY, NOW, 60)
    assert account.usable(NOW + 59)
    assert not account.usable(NOW + 60)
    made.sessions.begin(account, TABLET, NOW, NOW + 9_999)
    assert made.sessions.open(NOW)[0].ends == NOW + 60
    again = admit(made.accounts, Found("AMY", "staff", Kind.STAFF), DIRECTORY, NOW + 30, 60)
    assert (again.group, again.kind, again.expires) == ("staff", Kind.STAFF, NOW + 90)
    assert made.accounts.get("amy") == again
    assert len(made.sessions.open(NOW)) == 1


@pytest.mark.slow
def test_what_was_decided_here_stays(tmp_path: Path) -> None:
    """An account that was disabled here is not switched on by what a directory says."""
    made = school(tmp_path)
    admit(made.accounts, Found("amy", "ks2"), DIRECTORY, NOW, 60)
    made.accounts.change("amy", disabled=True)
    assert admit(made.accounts, Found("amy", "ks2"), DIRECTORY, NOW + 1, 60).disabled


@pytest.mark.slow
def test_an_account_that_is_kept_here_wins(tmp_path: Path) -> None:
    """Duplicate accounts: nobody takes over a local account by having its name elsewhere."""
    made = school(tmp_path)
    before = made.add("amy")
    with pytest.raises(DuplicateError):
        admit(made.accounts, Found("AMY", "staff", Kind.STAFF), DIRECTORY, NOW, 60)
    assert made.accounts.get("amy") == before


def test_what_the_technician_reads_is_not_what_the_pupil_reads() -> None:
    """The names of servers and their faults are for the journal."""
    error = UnreachableError("ldaps://dc1: refused")
    assert "dc1" in error.detail
    assert "dc1" not in str(error)
