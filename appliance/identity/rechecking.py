"""Asks the school's directory again about people who are signed in.

What lives only here: that round, and what follows from it. Who has left the school, was disabled or changed
groups is treated so within minutes; while nobody can be asked, what was last told counts until its time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import time as time_of_day

from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.outside import DIRECTORY, Directory, NotAdmittedError, UnreachableError
from appliance.identity.sessions import Sessions, end_of_day
from appliance.identity.stops import Trail

ROUND_SECONDS = 60.0
_log = logging.getLogger(__name__)


class Recheck:
    """Asks about each person no more often than every `every` seconds."""

    def __init__(
        self,
        database: Database,
        trail: Trail,
        directory: Directory,
        *,
        every: float,
        day_ends: time_of_day,
    ) -> None:
        self._accounts = Accounts(database)
        self._sessions = Sessions(database)
        self._trail = trail
        self._directory = directory
        self._every = every
        self._day_ends = day_ends

    def keep_asking(self, pause: Callable[[float], None] = time.sleep) -> None:
        """Go round for ever; a round that fails is told, and the next one comes."""
        while True:
            pause(ROUND_SECONDS)
            try:
                self.once(time.time())
            except (IdentityError, OSError) as error:
                _log.warning("people could not be asked about again this time: %s", error)

    def once(self, now: float) -> None:
        """Ask about whoever is due at `now`; IdentityError, OSError."""
        if not self._directory.looks_up:
            return
        for owner in sorted({session.key for session in self._sessions.open(now)}):
            account = self._accounts.find(owner)
            if account is None or account.source != DIRECTORY or account.changed + self._every > now:
                continue
            try:
                self._ask(account, now)
            except UnreachableError as error:
                _log.warning("the directory cannot be asked again about people: %s", error.detail)
                return

    def _ask(self, account: Account, now: float) -> None:
        try:
            found = self._directory.look_up(account.name)
        except NotAdmittedError:
            found = None
        if found is None or found.name != account.name:
            self._accounts.change(account.name, expires=now)
            self._trail.add("left", account.name, by="the school's directory", at=now)
            return
        told = self._accounts.told(account, found.group, found.kind, now, now + self._directory.lasts)
        ends = min(end_of_day(now, self._day_ends), told.expires or now)
        self._sessions.last_until(account.key, ends)
        if (found.group, found.kind) != (account.group, account.kind):
            self._trail.add("regrouped", account.name, by="the school's directory", at=now, group=found.group)
