"""Sessions: who is signed in on which device, since when, and how that ends.

What lives only here: beginning and ending them. A session belongs to one device: its network address, and
its hardware address where the gateway can see it. It ends at log-out, after an idle time, at the end of the
school day, with the account, and when somebody else signs in on the device.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from appliance.identity.accounts import Account
from appliance.identity.database import Database
from appliance.identity.names import IdentityError

SCHOOL_ZONE = ZoneInfo("Europe/London")
_LEAST = 3600.0


@dataclass(frozen=True, slots=True)
class Device:
    """Where a request comes from: the network address, and the hardware address or an empty text."""

    address: str
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in that is still open; moments are seconds since 1970, UTC."""

    key: str
    device: Device
    began: float
    seen: float
    ends: float


def end_of_day(now: float, ends: time) -> float:
    """Return when a session that begins at `now` ends with the school day (local time `ends`).

    Who signs in later than that has an evening of work before them: their session ends at midnight.
    """
    here = datetime.fromtimestamp(now, SCHOOL_ZONE)
    close = here.replace(hour=ends.hour, minute=ends.minute, second=0, microsecond=0)
    if close <= here:
        close = here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(close.timestamp(), now + (_LEAST if close.hour == 0 else 0.0))


class Sessions:
    """The open sessions of one school, in its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, account: Account, device: Device, now: float, ends: float) -> str:
        """Sign `account` in on `device`, whoever was there before; return the token for its cookie.

        IdentityError where the account is in use on as many devices as it may be.
        """
        token = secrets.token_urlsafe(32)
        with self._database.writing(changes=True, accounts=False) as db:
            _end_on(db, device)
            used = db.execute(
                "SELECT count(*) FROM session WHERE key = ? AND ends > ?", (account.key, now)
            ).fetchone()[0]
            if account.devices and used >= account.devices:
                raise IdentityError("This voucher is in use on as many devices as it is good for.")
            if account.expires is not None:
                ends = min(ends, account.expires)
            db.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_id(token), account.key, device.address, device.mac, now, now, ends),
            )
        return token

    def find(self, token: str, device: Device, now: float) -> Session | None:
        """Return the session of a cookie, if this is its device and it is still open; else None."""
        with self._database.reading() as db:
            query = "SELECT key, address, mac, began, seen, ends FROM session WHERE id = ? AND ends > ?"
            row = db.execute(query, (_id(token), now)).fetchone()
        if row is None:
            return None
        key, address, mac, *moments = row
        # A cookie that was copied to another device is no session (S-11); a device that got another
        # address, or uses IPv6 as well, is still the same one.
        same = address == device.address if not (mac and device.mac) else mac == device.mac
        return Session(key, Device(address, mac), *moments) if same else None

    def on(self, device: Device, now: float) -> Session | None:
        """Return the open session of a device, or None."""
        return next((each for each in self.open(now) if _same(each.device, device)), None)

    def open(self, now: float, key: str = "") -> list[Session]:
        """Return the open sessions, all or of one account, the oldest first."""
        with self._database.reading() as db:
            query = "SELECT key, address, mac, began, seen, ends FROM session WHERE ends > ? ORDER BY began"
            rows = db.execute(query, (now,)).fetchall()
        return [
            Session(owner, Device(address, mac), *moments)
            for owner, address, mac, *moments in rows
            if not key or owner == key
        ]

    def end_on(self, device: Device) -> bool:
        """Sign out whoever is signed in on `device`; return whether somebody was."""
        with self._database.writing(changes=True, accounts=False) as db:
            return _end_on(db, device)

    def last_until(self, key: str, ends: float) -> None:
        """Let the open sessions of an account last until `ends`, where they ended earlier."""
        with self._database.writing(changes=True, accounts=False) as db:
            db.execute("UPDATE session SET ends = ? WHERE key = ? AND ends < ?", (ends, key, ends))

    def end_idle(self, now: float, idle: float) -> list[Session]:
        """End what is over, or was not used for `idle` seconds; return what was ended."""
        due = [each for each in self.open(0.0) if each.ends <= now or each.seen + idle <= now]
        if due:
            with self._database.writing(changes=True, accounts=False) as db:
                for each in due:
                    db.execute(
                        "DELETE FROM session WHERE key = ? AND address = ? AND began = ?",
                        (each.key, each.device.address, each.began),
                    )
        return due

    def used(self, addresses: Iterable[str], now: float) -> None:
        """Note that devices were used just now, by the addresses their sessions began with."""
        with self._database.writing() as db:
            db.executemany(
                "UPDATE session SET seen = ? WHERE address = ?", [(now, each) for each in addresses]
            )


def _end_on(db: sqlite3.Connection, device: Device) -> bool:
    query = "DELETE FROM session WHERE address = ? OR (mac != '' AND mac = ?)"
    return db.execute(query, (device.address, device.mac)).rowcount > 0


def _same(one: Device, other: Device) -> bool:
    return one.address == other.address or bool(one.mac and one.mac == other.mac)


def _id(token: str) -> str:
    # Only the hash is kept: whoever reads the database cannot take over a session.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
