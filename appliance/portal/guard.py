"""Keeps forms honest: who sent one, from our own page, and what stands between two steps of a sign-in.

What lives only here: the tokens. A form counts only with the cookie that its page set and a token made of
that cookie and the device's address, so that no other site and no other device can send it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

FORM_COOKIE, SESSION_COOKIE = "__Host-form", "__Host-school"
FIELDS = 12
STEP_SECONDS = 600.0
STEPS = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """A sign-in that is not finished: whose, on which device, until when."""

    key: str
    address: str
    until: float


class Guard:
    """Makes and checks tokens; what it remembers ends with the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._steps: dict[str, Step] = {}

    def token(self, cookie: str, address: str) -> str:
        """Return what a form must carry that is shown to this cookie on this device."""
        return hmac.new(self._key, f"{cookie}\n{address}".encode(), hashlib.sha256).hexdigest()

    def accepts(self, fields: Mapping[str, str], cookie: str, address: str, site: str) -> bool:
        """Return whether a form is from our own page; `site` is what Sec-Fetch-Site says, if anything."""
        told = fields.get("token", "")
        good = hmac.compare_digest(told.encode(), self.token(cookie, address).encode())
        return bool(cookie) and good and site in ("", "same-origin", "none")

    def begin(self, key: str, address: str, now: float) -> str:
        """Remember that somebody has shown their password; return a ticket for the next step."""
        self._steps = {ticket: step for ticket, step in self._steps.items() if step.until > now}
        while len(self._steps) >= STEPS:
            del self._steps[next(iter(self._steps))]
        ticket = secrets.token_urlsafe(24)
        self._steps[ticket] = Step(key, address, now + STEP_SECONDS)
        return ticket

    def whose(self, ticket: str, address: str, now: float) -> str:
        """Return whose ticket this is, on this device; empty when it is nobody's or too old."""
        step = self._steps.get(ticket)
        return step.key if step is not None and step.address == address and step.until > now else ""

    def end(self, ticket: str) -> None:
        """Forget a ticket: it was used."""
        self._steps.pop(ticket, None)


def fields_of(body: bytes) -> dict[str, str]:
    """Return the first value of each field of a form; nothing of one that is not ours."""
    try:
        found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=FIELDS, keep_blank_values=True)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}
