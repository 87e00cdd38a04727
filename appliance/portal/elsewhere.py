"""People who sign in elsewhere: what is remembered of them until they come back.

What lives only here: that the one who comes back is the one who was sent: the same browser, by a cookie that
nobody else has, on the same device, once, within ten minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from appliance.identity.outside import Waiting

COOKIE = "__Host-elsewhere"
"""Goes along when the provider sends somebody back; a strict cookie would not (SameSite)."""

SECONDS = 600
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Sent:
    """Somebody who was sent elsewhere: from which device, with which cookie, until when."""

    waiting: Waiting
    address: str
    cookie: str
    until: float


class Elsewhere:
    """Remembers whoever is under way; what it remembers ends with the process."""

    def __init__(self) -> None:
        self._sent: dict[str, Sent] = {}

    def begin(self, address: str, now: float, wanted: str = "") -> tuple[Waiting, str]:
        """Return what goes to the provider with somebody, and the cookie that stays with them.

        `wanted` is the page that they were on their way to.
        """
        while self._sent and (len(self._sent) >= _MOST or next(iter(self._sent.values())).until <= now):
            del self._sent[next(iter(self._sent))]  # the first is who began longest ago
        waiting, cookie = Waiting(begun=now, wanted=wanted), secrets.token_urlsafe(24)
        self._sent[waiting.state] = Sent(waiting, address, _hash(cookie), now + SECONDS)
        return waiting, cookie

    def back(self, state: str, cookie: str, address: str, now: float) -> Waiting | None:
        """Return what was sent with whoever comes back, once; None where nobody was sent so."""
        sent = self._sent.get(state)
        if sent is None or sent.address != address or not hmac.compare_digest(sent.cookie, _hash(cookie)):
            return None  # and whoever was really sent can still come back
        del self._sent[state]
        return sent.waiting if sent.until > now else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
