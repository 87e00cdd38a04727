"""Staff who sign in by a name and a password for the proxy itself: when that is a sign-in, and its record.

What lives only here: that table. A device repeats its name and password on each connection, to whichever
worker; the first time that they fit, of an account at an address, is the sign-in, and it lasts as long as
one at the portal would. Workers share what is remembered, so that each is one record.
"""

from __future__ import annotations

from appliance.identity.accounts import Account
from appliance.identity.database import Database
from appliance.identity.stops import Trail

WAY = "proxy credentials"
"""What the record says of how they signed in."""

MOST = 64
"""Addresses of one account that get a record each until the day ends: whoever goes round an endless network
with one password must not fill the disk. The next record says that it is the last."""

LAST = f"more than {MOST} addresses of this account until the day ends; further ones get no record"

_KNOWN = "SELECT 1 FROM proxy_sign_in WHERE key = ? AND address = ? AND at <= ? AND ends > ?"


class ProxySignIns:
    """The sign-ins of one school that no page has seen."""

    def __init__(self, database: Database, trail: Trail) -> None:
        self._database = database
        self._trail = trail

    def note(self, account: Account, address: str, now: float, ends: float) -> bool:
        """Record a sign-in that lasts until `ends`, unless it is known; return whether it was new.

        Moments are seconds since 1970. IdentityError, OSError or an error in words where it cannot be
        recorded: then it is not remembered either.
        """
        sign_in = (account.key, address, now, now)
        with self._database.reading() as db:
            if db.execute(_KNOWN, sign_in).fetchone():
                return False
        with self._database.writing() as db:
            if db.execute(_KNOWN, sign_in).fetchone():
                return False  # another worker was quicker
            # What a clock that was wrong has left for years to come counts for nothing, and goes as well.
            db.execute("DELETE FROM proxy_sign_in WHERE ends <= ? OR at > ?", (now, now))
            count = "SELECT count(*) FROM proxy_sign_in WHERE key = ?"
            already = int(db.execute(count, (account.key,)).fetchone()[0])
            if already > MOST:
                return False
            db.execute("INSERT INTO proxy_sign_in VALUES (?, ?, ?, ?)", (account.key, address, now, ends))
            # Within the transaction: what is not in the trail does not happen.
            self._trail.add(
                "sign-in", account.name, by=account.name, at=now, address=address, way=WAY,
                what_was_seen=LAST if already == MOST else "",
            )  # fmt: skip
        return True
