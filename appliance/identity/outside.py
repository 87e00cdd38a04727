"""People whom another system knows: the school's directory, its single sign-on, its network log-in.

What lives only here: what such a system may say of somebody, and how that becomes an account. The account
counts for a stated time from when it was last told, and then no more: whoever cannot be asked any longer is
believed for a while, and then not at all. An account that the school keeps here always wins.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from appliance.identity.accounts import Account, Accounts
from appliance.identity.names import IdentityError, key, neat
from appliance.model.person import Kind
from appliance.model.secret import Secret

SINGLE = "single sign-on"
"""The source of accounts that the school's single sign-on keeps (OpenID Connect)."""

JUST_NOW = 30.0
"""Seconds for which the same answer about somebody is not written down again."""

DIRECTORY = "directory"
"""The source of accounts that the school's directory keeps (LDAP, Active Directory)."""


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody whom another system knows, in the words of the gateway."""

    name: str
    group: str
    kind: Kind = Kind.INDIVIDUAL
    signed_in: float = 0.0
    """When they last proved there who they are, in seconds since 1970; 0 where that is not said."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sign-in that is under way at the single sign-on: what must come back with it.

    `begun` is when they were sent (seconds since 1970), `wanted` the page of ours that they asked for.
    """

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    begun: float = 0.0
    wanted: str = ""


class OutsideError(IdentityError):
    """Another system did not say who this is; the text is for whoever tried."""


class NotKnownError(OutsideError):
    """The name and the password do not fit there."""


class NotAdmittedError(OutsideError):
    """The person is known there, and may not come in."""


class UnreachableError(OutsideError):
    """Nobody could be asked; `detail` is for the technician."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            "The school's directory cannot be asked just now. Try again soon, or ask a member of staff."
        )


class NotAskedError(OutsideError):
    """There is nothing to ask with about this one person; what was told before counts until its time."""


class DuplicateError(OutsideError):
    """The same name is kept elsewhere, and that account counts."""


class Directory(Protocol):
    """What the sign-in needs of a directory. Each method may wait for the network."""

    lasts: float
    """For how many seconds what it says of somebody counts."""

    looks_up: bool
    """Whether it can be asked about people without their passwords."""

    def plain(self, name: str) -> str:
        """Return a name without the realm that people put before or behind it: `amy@school` is `amy`."""

    def ask(self, name: str, password: Secret) -> Found:
        """Return whose name and password these are; OutsideError where they are nobody's, or nobody knows."""

    def look_up(self, name: str) -> Found | None:
        """Return what it says of a name without a password, or None; OutsideError.

        Always None where `looks_up` is false.
        """


class Single(Protocol):
    """What the sign-in needs of a single sign-on. Each method may wait for the network."""

    name: str
    """What people call it."""

    lasts: float
    """For how many seconds what it says of somebody counts."""

    def begin(self, waiting: Waiting, *, fresh: bool = False) -> str:
        """Return where somebody is sent to sign in; UnreachableError.

        With `fresh` they are to prove anew who they are, also if they are signed in there.
        """

    def finish(self, code: str, waiting: Waiting, issuer: str = "") -> Found:
        """Return who came back with `code`; UnreachableError, or NotAdmittedError in words for them."""


def without_realm(name: str, realms: Collection[str]) -> str:
    """Return `name` without a realm of ours, before a backslash or after the last @; else as it is."""
    ours = {key(realm) for realm in realms}
    before, mark, rest = name.partition("\\")
    if mark and key(before) in ours:
        return rest
    rest, mark, after = name.rpartition("@")
    return rest if mark and key(after) in ours else name


def admit(accounts: Accounts, found: Found, source: str, now: float, lasts: float) -> Account:
    """Return the account of somebody whom `source` knows, made or brought up to date.

    DuplicateError where the name is another's: kept here, or by another source. What was decided here
    (disabled, stopped) stays as it is.
    """
    name = neat(found.name)
    there = accounts.find(name)
    if there is None:
        made = Account(
            name, found.kind, found.group, changed=now, created=now, expires=now + lasts, source=source
        )
        accounts.add(made)
        return made
    if there.source != source:
        raise DuplicateError(
            "Another account here has this name, and that one counts. Sign in with its own password, or ask "
            "a member of staff."
        )
    same = (there.group, there.kind) == (found.group, found.kind)
    if same and there.usable(now) and 0 <= now - there.changed < JUST_NOW:
        return there  # several devices of one person, and several workers, ask at once
    return accounts.told(there, found.group, found.kind, now, now + lasts)
