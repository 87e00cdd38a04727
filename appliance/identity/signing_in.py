"""Signing in: whether this is the person, may be here, and what they must do first.

What lives only here: the order of those questions, the same for the sign-in page and for a browser's proxy
credentials. Whoever may not enter is told no more than they need: a wrong name and a wrong password
look alike, and take equally long.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time

from appliance.config.problems import InWordsError
from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.names import IdentityError, key
from appliance.identity.outside import (
    DIRECTORY,
    Directory,
    DuplicateError,
    Found,
    NotAdmittedError,
    NotKnownError,
    OutsideError,
    UnreachableError,
    admit,
)
from appliance.identity.passwords import Passwords, Rules, check
from appliance.identity.proxy_sign_ins import ProxySignIns
from appliance.identity.sessions import SCHOOL_ZONE, Device, Sessions, end_of_day
from appliance.identity.stops import Trail, stops_in_force
from appliance.identity.tries import Limits, Tries
from appliance.model.person import Kind
from appliance.model.secret import Secret

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignInRules:
    """What the school asks of a sign-in. `agreements` are versions by group; none for what is not named."""

    day_ends: time = time(18, 0)
    idle: float = 3600.0
    limits: Limits = field(default_factory=Limits)
    passwords: Rules = field(default_factory=Rules)
    agreements: Mapping[str, str] = field(default_factory=dict)
    staff_change_month: int = 9
    """Staff choose a new password after the first of this month (W:341-343); 0 for never."""


class RefusedError(IdentityError):
    """Nobody enters with this; the text is for whoever tried."""


class DueError(RefusedError):
    """This is the person, and something is still to be done at the sign-in's own page before they enter."""


class AwayError(RefusedError):
    """Nobody could be asked whose this is: no answer, and no wrong password either."""


class WaitError(RefusedError):
    """Too many tries; `seconds` until the next one counts."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        minutes = max(1, round(seconds / 60 + 0.49))
        super().__init__(
            f"Too many tries. Wait {minutes} minute{'s' if minutes > 1 else ''}, then try again."
        )


class SignIn:
    """Lets people in, or not. Every method may wait for the disk and the hash: call it in a thread."""

    def __init__(
        self,
        database: Database,
        trail: Trail,
        rules: SignInRules,
        passwords: Passwords,
        directory: Directory | None = None,
    ) -> None:
        self.accounts = Accounts(database)
        self.sessions = Sessions(database)
        self._database = database
        self.rules = rules
        self._trail = trail
        self._proxy = ProxySignIns(database, trail)
        self._tries = Tries(database, rules.limits)
        self._passwords = passwords.prepare()
        self._directory = directory
        self._doubles: set[str] = set()

    def known(self, name: str, password: Secret, address: str, now: float) -> Account:
        """Return the account that name and password belong to; RefusedError where they do not fit.

        A failure counts for the account and for the address, whether the account exists or not. Whoever has
        no account here is asked about in the school's directory, where there is one.
        """
        account = self._let_in(self._compared(name, password, address, now), now)
        if not account.source:
            self._note_double(account, address, now)
        self._tries.forget(f"account:{account.key}")
        if account.password and self._passwords.outdated(account.password) and not account.must_change:
            self.accounts.own_password(account, self._passwords.make(password), account.changed)
        return account

    def shown(self, name: str, password: Secret, address: str, now: float) -> Account:
        """Return whose name and password a device at `address` gave to the proxy; RefusedError if nobody's.

        DueError where a new password or the agreement is still due, for which a page is needed. Who is
        stopped is returned: they are known, and stopped wherever they ask.
        A device repeats what it gives for ever, so that success forgets no failures here: somebody else's
        guesses at the same account go on being counted. Of staff each sign-in is one record; where it cannot
        be, it fails as at the sign-in's page (OSError, or an error in words that is no RefusedError).
        """
        account = self._compared(name, password, address, now)
        if self.must_change(account, now) or self.agreement(account):
            raise DueError("Something is still to be done before you are signed in.")
        if account.kind is Kind.STAFF:
            self._note_shown(account, address, now)
        return account

    def _note_shown(self, account: Account, address: str, now: float) -> None:
        try:
            self._proxy.note(account, address, now, end_of_day(now, self.rules.day_ends))
        except (OSError, InWordsError):
            # Whoever is stopped enters nothing by it, and stays stopped only for as long as they are known.
            if not self.stopped(account.key, now):
                raise

    def _compared(self, name: str, password: Secret, address: str, now: float) -> Account:
        name = self._plain(name)
        subjects = (f"account:{key(name)}", f"address:{address}")
        if (wait := self._tries.wait(subjects, now)) > 0:
            raise WaitError(wait)
        account = self._whose(name, password, now)
        if account is None:
            self._tries.failed(subjects, now)
            if self._tries.wait(subjects, now) > 0:
                self._trail.add("locked", key(name)[:64], by="the gateway", at=now, address=address)
            raise RefusedError("The name and the password do not fit. Try again.")
        # Guesses that were compared at the same moment, here and in other processes, may have locked it by
        # now: none beyond the last that counts is told that it was right.
        if (wait := self._tries.wait(subjects, now)) > 0:
            raise WaitError(wait)
        if not account.usable(now):
            raise RefusedError("This account is not in use now. Ask a member of staff.")
        return account

    def waits_for_directory(self, name: str) -> bool:
        """Return whether a sign-in with this name asks the directory, and takes no processor for a hash."""
        account = self.accounts.find(self._plain(name))
        return self._directory is not None and (account is None or account.source == DIRECTORY)

    def vouched(self, found: Found, source: str, lasts: float, device: Device, now: float) -> Account:
        """Return the account of somebody for whom another system vouches; RefusedError, in words for them."""
        try:
            account = admit(self.accounts, found, source, now, lasts)
        except DuplicateError as error:
            self._note_other(found.name, source, device.address, now)
            raise RefusedError(str(error)) from error
        except IdentityError as error:  # a name that can be none
            raise RefusedError(
                "An account of this name cannot be used here. Ask a member of staff."
            ) from error
        return self._let_in(account, now)

    def _let_in(self, account: Account, now: float) -> Account:
        if not account.usable(now):
            raise RefusedError("This account is not in use now. Ask a member of staff.")
        if self.stopped(account.key, now):
            raise RefusedError("Your access is stopped for now. Speak to a member of staff.")
        return account

    def stopped(self, one: str, now: float) -> bool:
        """Return whether the account of this key is frozen, or its access taken away for a time."""
        return any(stop.key == one for stop in stops_in_force(self._database, now))

    def _plain(self, name: str) -> str:
        # An account that is kept here goes by its whole name, whatever a realm of the school looks like.
        here = self._directory is None or self.accounts.find(name) is not None
        return name if here or self._directory is None else self._directory.plain(name)

    def _whose(self, name: str, password: Secret, now: float) -> Account | None:
        account = self.accounts.find(name)
        if self._directory is not None and (account is None or account.source == DIRECTORY):
            return self._in_directory(self._directory, name, password, now)
        fits = self._passwords.fits(account.password if account else "", password)
        return account if fits else None

    def _in_directory(self, directory: Directory, name: str, password: Secret, now: float) -> Account | None:
        try:
            return admit(self.accounts, directory.ask(name, password), DIRECTORY, now, directory.lasts)
        except NotKnownError:
            return None
        except UnreachableError as error:
            _log.error("the directory cannot be asked: %s", error.detail)
            raise AwayError(str(error)) from error
        except IdentityError as error:  # disabled there, in no group of ours, or another's name
            raise RefusedError(str(error)) from error

    def _note_double(self, account: Account, address: str, now: float) -> None:
        # Two accounts of one name: the one that is kept here counts, and somebody should know of it.
        if self._directory is None or account.key in self._doubles or account.kind.shared or account.sponsor:
            return
        try:
            there = self._directory.look_up(account.name) is not None
        except NotAdmittedError:
            there = True  # known there, though not let in
        except OutsideError:
            return
        self._doubles.add(account.key)
        if there:
            self._note_other(account.name, "directory", address, now)

    def _note_other(self, name: str, where: str, address: str, now: float) -> None:
        seen = f"the school's {where} has this name as well; the account kept before counts"
        self._trail.add(
            "duplicate", key(name)[:64], by="the gateway", at=now, address=address, what_was_seen=seen
        )

    def must_change(self, account: Account, now: float) -> bool:
        """Return whether a new password is due before anything else (S-10)."""
        if account.source:
            return False  # its password is another system's to ask for
        if account.must_change:
            return True
        month = self.rules.staff_change_month
        if account.kind is not Kind.STAFF or not month:
            return False
        today = datetime.fromtimestamp(now, SCHOOL_ZONE)
        due = today.replace(month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
        return account.changed < (due if due <= today else due.replace(year=due.year - 1)).timestamp()

    def change(self, account: Account, password: Secret, now: float) -> Account:
        """Keep a new password that the owner chose; IdentityError, in words for them, if it is too weak."""
        check(password, account.name, account.kind, self.rules.passwords)
        if self._passwords.fits(account.password, password):
            raise IdentityError("That is the old password. Choose a new one.")
        self.accounts.own_password(account, self._passwords.make(password), now)
        return self.accounts.get(account.name)

    def agreement(self, account: Account) -> str:
        """Return the version of the agreement that is still to be accepted, or an empty text (S-09)."""
        version = self.rules.agreements.get(account.group, "")
        if version and all(agreed.version != version for agreed in self.accounts.agreed(account.name)):
            return version
        return ""

    def enter(self, account: Account, device: Device, now: float) -> str:
        """Begin a session and return its token; IdentityError while something is still to be done first."""
        if self.must_change(account, now) or self.agreement(account):
            raise RefusedError("Something is still to be done before you are signed in.")
        if account.kind is Kind.STAFF:
            self._trail.add("sign-in", account.name, by=account.name, at=now, address=device.address)
        return self.sessions.begin(account, device, now, end_of_day(now, self.rules.day_ends))
