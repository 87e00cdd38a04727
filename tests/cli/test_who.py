from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from appliance.cli.setup import Setup
from appliance.cli.who import NotStaffError, decides, person, proved, who_sets
from appliance.identity.accounts import Accounts
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.model.person import Kind
from tests.doubles.people import WORD, quick, school
from tests.doubles.school import configuration


@pytest.fixture
def made(tmp_path: Path) -> Setup:
    """Return a school with one teacher and one pupil."""
    setup = Setup()
    setup.config, setup.passwords = configuration(tmp_path), quick()
    people = school(setup.state)
    people.add("Head", Kind.STAFF, group="staff")
    people.add("amy")
    return setup


def test_a_name_counts_with_its_own_password_alone(made: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-26: a wrong password, nobody, and a pupil with the right one are all refused; staff are known."""
    for name, word, error in (
        ("head", "wrong", IdentityError),
        ("nobody", WORD.reveal(), IdentityError),
        ("amy", WORD.reveal(), NotStaffError),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{word}\n"))
        with pytest.raises(error):
            proved(made, name, typed=True)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{WORD.reveal()}\n"))
    assert proved(made, "head", typed=True) == "Head"


def test_one_person_needs_no_password_and_two_need_names(
    made: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A school with one technician types none; where two decide, nobody is nobody."""
    monkeypatch.setenv("SUDO_USER", "tech")
    assert person(made, "", typed=False) == "tech"
    text = made.config.read_text()
    made.config.write_text(f"{text}changes: {{approval: two, approvers: [head]}}\n")
    two = Setup()
    two.config = made.config
    with pytest.raises(click.UsageError, match="say who you are"):
        person(two, "", typed=False)


def test_an_override_is_decided_by_a_password(made: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typed name opens nothing, unless the school says that a technician types for others."""
    with pytest.raises(click.UsageError, match="say who decides"):
        decides(made, "", typed=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    with pytest.raises(IdentityError):
        decides(made, "head", typed=True)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{WORD.reveal()}\n"))
    assert decides(made, "head", typed=True) == "Head"
    made.config.write_text(f"{made.config.read_text()}overrides: {{typed_for_others: true}}\n")
    other = Setup()
    other.config = made.config
    monkeypatch.setenv("SUDO_USER", "tech")
    assert (decides(other, "head", typed=False), decides(other, "", typed=False)) == ("head", "tech")


@pytest.mark.slow
def test_one_person_sets_passwords_as_ever(made: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A school with one technician meets no question and no waiting (changes.approval: single)."""
    head = Accounts(Database(made.state)).get("head")
    who_sets(made, "", [head], typed=False)()
    assert person(made, "head", typed=False) == "head"
    made.config.write_text(f"{made.config.read_text()}changes: {{approval: two, approvers: [head]}}\n")
    two = Setup()
    two.config = made.config
    monkeypatch.setenv("SUDO_USER", "tech")
    who_sets(two, "", [head], typed=False)()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{WORD.reveal()}\n" * 2))
    with pytest.raises(NotStaffError, match="tech has set the password of Head"):
        person(two, "head", typed=True)
    with pytest.raises(NotStaffError, match="does not count"):
        who_sets(two, "head", [head], typed=True)
