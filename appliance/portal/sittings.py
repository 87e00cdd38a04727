"""Who is signed in to the pages of cases, on which device, and what they look at for what purpose.

What lives only here: those sessions. They are kept in memory alone and end with the process, after an idle
time, and after some hours; a cookie that was copied to another device is none. Being signed in for the web
counts for nothing here: whoever finds an unlocked laptop meets the question for the password.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from appliance.identity.sessions import Device

LONGEST = 8 * 3_600.0
"""Seconds after which somebody signs in again, however busy they are."""

MOST = 200
"""Sessions at once; the oldest ends when there is one more."""


@dataclass(slots=True)
class Sitting:
    """One sign-in to the pages of cases. `purposes` is why a case was opened, by its number."""

    name: str
    device: Device
    began: float
    seen: float
    purposes: dict[int, str] = field(default_factory=dict)


class Sittings:
    """Those that are open; `idle` is in seconds."""

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._open: dict[str, Sitting] = {}

    def begin(self, name: str, device: Device, now: float) -> str:
        """Sign somebody in on a device; return the token for its cookie."""
        self._open = {key: one for key, one in self._open.items() if self._lasts(one, now)}
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        token = secrets.token_urlsafe(32)
        self._open[_key(token)] = Sitting(name, device, now, now)
        return token

    def find(self, token: str, device: Device, now: float) -> Sitting | None:
        """Return the session of a cookie, if this is its device and it is still open; it was used then."""
        found = self._open.get(_key(token))
        if found is None or not self._lasts(found, now) or not _same(found.device, device):
            return None
        found.seen = now
        return found

    def end(self, token: str) -> None:
        """Sign out."""
        self._open.pop(_key(token), None)

    def _lasts(self, one: Sitting, now: float) -> bool:
        # A clock that was put back ends them as well: better one sign-in too many.
        return one.seen <= now < one.seen + self._idle and now < one.began + LONGEST


def _same(one: Device, other: Device) -> bool:
    return one.address == other.address if not (one.mac and other.mac) else one.mac == other.mac


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
