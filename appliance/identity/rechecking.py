"""Asks the school's directory, or its single sign-on, again about people who are here.

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
from appliance.identity.outside import Found, NotAdmittedError, NotAskedError, UnreachableError
from appliance.identity.sessions import Sessions, end_of_day
from appliance.identity.stops import Trail
from appliance.identity.uses import Uses

ROUND_SECONDS = 60.0
_log = logging.getLogger(__name__)


class Recheck:
    """Asks about each person of one source no more often than every `every` seconds.

    `about` says what is known of an account there, or None; what it says counts for `lasts` seconds. `name`
    is what the audit calls it.
    """

    def __init__(
        self,
        database: Database,
        trail: Trail,
        source: str,
        about: Callable[[Account], Found | None],
        *,
        name: str,
        lasts: float,
        every: float,
        day_ends: time_of_day,
    ) -> None:
        self._accounts = Accounts(database)
        self._sessions = Sessions(database)
        self._uses = Uses(database)
        self._trail = trail
        self._source = source
        self._about = about
        self._name = name
        self._lasts = lasts
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
        # Whoever is signed in, and whoever was here lately in another way: by the network, or to the proxy.
        here = {session.key for session in self._sessions.open(now)}
        here |= {used.key for used in self._uses.since(now - self._every)}
        for owner in sorted(here):
            account = self._accounts.find(owner)
            if account is None or account.source != self._source or not account.usable(now):
                continue
            if account.changed + self._every > now:
                continue
            try:
                self._ask(account, now)
            except NotAskedError:
                continue
            except UnreachableError as error:
                _log.warning("%s cannot be asked again about people: %s", self._name, error.detail)
                return

    def _ask(self, account: Account, now: float) -> None:
        try:
            found = self._about(account)
        except NotAdmittedError:
            found = None
        if found is None or found.name != account.name:
            self._accounts.change(account.name, expires=now)
            self._trail.add("left", account.name, by=self._name, at=now)
            return
        told = self._accounts.told(account, found.group, found.kind, now, now + self._lasts)
        ends = min(end_of_day(now, self._day_ends), told.expires or now)
        self._sessions.last_until(account.key, ends)
        if (found.group, found.kind) != (account.group, account.kind):
            self._trail.add("regrouped", account.name, by=self._name, at=now, group=found.group)
