"""Who types, proved: one way for every verb in which it counts who somebody is.

What lives only here: that a name is believed with its own password alone, and what the audit says where a
technician types for somebody else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import click

from appliance.changes.doubts import Doubts
from appliance.changes.store import FOLDER, Approval
from appliance.cli.setup import Setup
from appliance.config.problems import InWordsError
from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.identity.accounts import Account
from appliance.identity.database import Database
from appliance.identity.names import key
from appliance.identity.passwords import Passwords
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.identity.signing_in import SignIn
from appliance.model.person import Kind
from appliance.model.secret import Secret
from appliance.settings import Settings

who = click.option(
    "--as", "name", default="", metavar="NAME", help="Your staff account (with changes.approval: two)."
)
typed = click.option("--stdin", "typed", is_flag=True, help="Read the password from standard input.")


_NAMED = 5

typed_word = click.option("--stdin", "from_pipe", is_flag=True, help="Read the password from standard input.")


class Asked(Protocol):
    """What is needed of the settings to ask for somebody's password."""

    @property
    def state(self) -> Path:
        """The folder of everything that is written."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def by(self) -> str:
        """Who calls the command."""

    @property
    def passwords(self) -> Passwords:
        """What compares passwords with what is kept of them."""


class NotStaffError(InWordsError):
    """The account is none of staff."""


def with_who(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options by which somebody says who they are."""
    return who(typed(command))


def person(setup: Setup, name: str, *, typed: bool) -> str:
    """Return who acts: with two people each shows their own password; else whoever calls the command."""
    if not setup.approval_of_two:
        return name or setup.by
    if not name:
        raise click.UsageError("two people make a change: say who you are, --as NAME, and give your password")
    return counted(setup, proved(setup, name, typed=typed))


def counted(setup: Asked, name: str) -> str:
    """Return the name of an account that counts for changes; an error in words where it does not (yet)."""
    doubt = _doubts(setup).of(name, time.time())
    if doubt is not None:
        until = f"{datetime.fromtimestamp(doubt.until, SCHOOL_ZONE):%Y-%m-%d %H:%M}"
        raise NotStaffError(
            f"{doubt.by} has set the password of {doubt.name}, who does not count for changes until {until}, "
            f"or until another approver says `appliance changes confirm {doubt.name}`"
        )
    return name


def who_sets(setup: Asked, name: str, accounts: Iterable[Account], *, typed: bool) -> Callable[[], None]:
    """Ask who sets the passwords of these accounts; return what notes it, to be called before they are set.

    It matters where two people make changes: staff whose password somebody else has set do not count for that
    for a while. `name` is what was given with --as, empty for nothing; errors in words.
    """
    staff = [account.name for account in accounts if account.kind is Kind.STAFF]
    if setup.settings.changes.approval != "two" or not staff:
        return lambda: None
    by = counted(setup, proved(setup, name, typed=typed)) if name else setup.by
    others = [each for each in staff if not name or key(each) != key(by)]

    def note() -> None:
        _doubts(setup).begin(others, by=by, proved=bool(name), at=time.time())
        if others:
            named = ", ".join(others[:_NAMED]) + (
                f" and {len(others) - _NAMED} more" if others[_NAMED:] else ""
            )
            can = (
                f"when another approver than {by} says `appliance changes confirm NAME`, or " if name else ""
            )
            click.echo(f"note: for changes of the policy {named} will count {can}after seven days", err=True)

    return note


def _doubts(setup: Asked) -> Doubts:
    chosen = setup.settings.changes
    approval = Approval(chosen.approval == "two", chosen.approvers)
    return Doubts(setup.state, Carried(Trail(setup.state), FOLDER), approval, key)


def decides(setup: Setup, name: str, *, typed: bool) -> str:
    """Return who decides about an override: whoever is named shows their password.

    Where the settings say that a technician types for others, the name is believed as it was typed, and the
    audit says who typed. A usage error where nobody is named.
    """
    if setup.settings.overrides.typed_for_others:
        return name or setup.by
    if not name:
        raise click.UsageError("say who decides: --by NAME, a staff account, and give its password")
    return proved(setup, name, typed=typed)


def proved(setup: Asked, name: str, *, typed: bool) -> str:
    """Return the name of a staff account whose password was given; asks for it, or reads it from a pipe.

    An error in words where it does not fit, the account is disabled, frozen or locked, or none of staff.
    """
    text = (
        sys.stdin.readline().rstrip("\n")
        if typed
        else click.prompt(f"Password of {name}", hide_input=True, err=True)
    )
    database, trail = Database(setup.state), Trail(setup.state)
    sign_in = SignIn(database, trail, setup.settings.identity.rules, setup.passwords)
    account = sign_in.known(name, Secret(text), "command line", time.time())
    if account.kind is not Kind.STAFF:
        raise NotStaffError(f"{account.name} is no account of staff: this is done by staff")
    return account.name
