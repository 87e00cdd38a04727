"""A second factor beside the password: six digits that an app on somebody's phone shows (TOTP, RFC 6238).

What lives only here: whose secret it is, and when a code counts. A code counts once, within half a minute of
its time; wrong ones are counted as wrong passwords are, for the account and for the address (CY-2, CY-8). The
secret is shown once, when it is made, and lies sealed (`sealing`).
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from appliance.identity.database import Database
from appliance.identity.sealing import Seal
from appliance.identity.signing_in import WaitError
from appliance.identity.stops import Trail
from appliance.identity.tries import Limits, Tries
from appliance.model.secret import Secret

KEY = Path("keys") / "second-factor.key"
_SECONDS, _DIGITS, _BYTES = 30, 6, 20  # what every app takes (RFC 6238 with RFC 4226's length of a secret)
_AROUND = (0, -1, 1)
"""Steps beside now that count too: phones' clocks differ, and somebody has to type."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What is shown once: the secret to type, and the address that apps read (otpauth)."""

    secret: Secret
    uri: Secret


class SecondFactors:
    """The second factors of one school. Each method may wait for the disk; IdentityError, OSError."""

    def __init__(self, database: Database, state: Path, limits: Limits, trail: Trail) -> None:
        self._database = database
        self._seal = Seal(state / KEY)
        self._tries = Tries(database, limits)
        self._trail = trail

    def since(self, key: str) -> float | None:
        """Return since when an account has one; None where it has none."""
        with self._database.reading() as db:
            row = db.execute("SELECT since FROM second_factor WHERE key = ?", (key,)).fetchone()
        return None if row is None else float(row[0])

    def enrol(self, key: str, name: str, school: str, now: float) -> Enrolled:
        """Make one for an account, in place of the one before."""
        secret = secrets.token_bytes(_BYTES)
        with self._database.writing() as db:
            row = (key, self._seal.close(secret, key), now, 0)
            db.execute("INSERT OR REPLACE INTO second_factor VALUES (?, ?, ?, ?)", row)
        self._tries.forget(f"code:{key}")
        uri = _totp(secret).get_provisioning_uri(name, school.replace(":", " ")).replace("+", "%20")
        return Enrolled(Secret(b32encode(secret).decode()), Secret(uri))

    def remove(self, key: str) -> bool:
        """Take it away; return whether there was one."""
        with self._database.writing() as db:
            return bool(db.execute("DELETE FROM second_factor WHERE key = ?", (key,)).rowcount)

    def accepts(self, key: str, code: str, address: str, now: float) -> bool:
        """Return whether `code` is the account's, now and for the first time; WaitError after too many."""
        subjects = (f"code:{key}", f"address:{address}")
        if (wait := self._tries.wait(subjects, now)) > 0:
            raise WaitError(wait)
        if not self._fits(key, "".join(code.split()), now):
            self._tries.failed(subjects, now)
            if self._tries.wait(subjects, now) > 0:
                self._trail.add(
                    "locked", key[:64], by="the gateway", at=now, address=address, what_was_tried="codes"
                )
            return False
        # Guesses that were compared at the same moment may have locked it by now.
        if (wait := self._tries.wait(subjects, now)) > 0:
            raise WaitError(wait)
        self._tries.forget(subjects[0])
        return True

    def _fits(self, key: str, code: str, now: float) -> bool:
        if len(code) != _DIGITS or not (code.isascii() and code.isdigit()):
            return False
        with self._database.reading() as db:
            row = db.execute("SELECT secret FROM second_factor WHERE key = ?", (key,)).fetchone()
        secret = self._seal.open(row[0], key) if row else None
        if secret is None:
            return False
        totp, step = _totp(secret), int(now // _SECONDS)
        found = [
            step + beside
            for beside in _AROUND
            if hmac.compare_digest(totp.generate((step + beside) * _SECONDS), code.encode())
        ]
        return bool(found) and self._first_time(key, found[0])

    def _first_time(self, key: str, step: int) -> bool:
        # In one statement, so that two who send the same code at the same moment do not both come in.
        with self._database.writing() as db:
            marked = "UPDATE second_factor SET step = ? WHERE key = ? AND step < ?"
            return bool(db.execute(marked, (step, key, step)).rowcount)


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, _DIGITS, SHA1(), _SECONDS)  # noqa: S303 - the hash of the standard, which every app has
