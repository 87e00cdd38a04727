"""Whom a network log-in is: its name, its account, and whether anything is still due before it counts.

What lives only here: that a log-in counts only for somebody who is known here, in the directory or by the
class that the RADIUS server gives, and who has accepted the agreement of their group (S-09).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from appliance.identity.accounts import Account, Accounts
from appliance.identity.announced import AnnouncedStore, Report, Status
from appliance.identity.database import Database
from appliance.identity.names import IdentityError, neat
from appliance.identity.outside import (
    DIRECTORY,
    Directory,
    DuplicateError,
    Found,
    OutsideError,
    UnreachableError,
    admit,
    without_realm,
)
from appliance.model.person import Kind

NETWORK = "network"
"""The source of accounts that only the RADIUS server knows."""

MACHINE = "host/"
"""How the name of a machine begins that logs in before anybody sits at it."""

_log = logging.getLogger(__name__)


class Logins:
    """Keeps what packets say. `take` may wait for the disk, `ask` for the directory."""

    def __init__(
        self,
        database: Database,
        *,
        silence: float,
        window: float,
        classes: Mapping[str, tuple[str, Kind]],
        agreements: Mapping[str, str],
        realms: Collection[str],
        directory: Directory | None,
    ) -> None:
        self._store = AnnouncedStore(database, 2 * window)
        self._accounts = Accounts(database)
        self._silence = silence
        self._classes = classes
        self._agreements = agreements
        self._realms = realms
        self._directory = directory

    def take(self, report: Report, now: float) -> bool:
        """Keep one announcement; False where it is older than what is known. IdentityError, OSError."""
        name = self.name_of(report)
        return self._store.take(replace(report, name=name), now, now + self._silence)

    def settle(self, report: Report, now: float) -> str:
        """Say whether the log-in counts; return the name that the directory must be asked about, if any."""
        name = self.name_of(report)
        if not name or report.status in (Status.STOP, Status.RESTARTED):
            return ""
        account = self._accounts.find(name)
        if account is None or account.source == NETWORK:
            account = self._by_class(name, report, now) or account
        self._store.settle(name, counts=self._counts(account, now))
        known = account is not None and (account.source != DIRECTORY or account.usable(now))
        return name if not known and self._directory is not None and self._directory.looks_up else ""

    def ask(self, name: str, now: float) -> None:
        """Ask the directory about a name, and say whether its log-ins count; never raises for an answer."""
        if self._directory is None:
            return
        try:
            found = self._directory.look_up(name)
            if found is None:
                return
            account = admit(self._accounts, found, DIRECTORY, now, self._directory.lasts)
        except UnreachableError as error:
            _log.warning("the directory cannot be asked about a network log-in: %s", error.detail)
        except OutsideError:
            self._store.settle(name, counts=False)
        else:
            self._store.settle(name, counts=self._counts(account, now))

    def name_of(self, report: Report) -> str:
        """Return the name of the person that a log-in is of; empty for a machine, and for no name."""
        if report.name.lower().startswith(MACHINE) or report.name.endswith("$"):
            return ""
        try:
            # An account that is kept here goes by its whole name, as at the sign-in.
            whole = neat(report.name)
            return whole if self._accounts.find(whole) else neat(without_realm(whole, self._realms))
        except IdentityError:
            return ""

    def _by_class(self, name: str, report: Report, now: float) -> Account | None:
        for value in report.classes:
            if value in self._classes:
                group, kind = self._classes[value]
                try:
                    return admit(self._accounts, Found(name, group, kind), NETWORK, now, self._silence)
                except DuplicateError:
                    return None
        return None

    def _counts(self, account: Account | None, now: float) -> bool:
        if account is None or not account.usable(now):
            return False
        wanted = self._agreements.get(account.group, "")
        return not wanted or any(each.version == wanted for each in self._accounts.agreed(account.name))
