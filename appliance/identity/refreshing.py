"""What the single sign-on gives the gateway to ask again with about somebody (a refresh token, RFC 6749 1.5).

What lives only here: keeping it. It lies in the database encrypted (AES-256-GCM), with a key in a file beside
and bound to its account: a copy of the database alone asks nobody, and no entry serves another account.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.model.secret import Secret
from appliance.owners import make_folder, open_private

KEY = Path("keys") / "refresh.key"
_BYTES, _NONCE = 32, 12


class Tokens:
    """The refresh tokens of one school. Each method may wait for the disk; IdentityError, OSError."""

    def __init__(self, database: Database, state: Path) -> None:
        self._database = database
        self._file = state / KEY

    def keep(self, key: str, token: Secret) -> None:
        """Keep the token of an account, in place of the one before."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher(make=True).encrypt(nonce, token.reveal().encode(), key.encode())
        with self._database.writing() as db:
            db.execute("INSERT OR REPLACE INTO refresh VALUES (?, ?)", (key, sealed))

    def find(self, key: str) -> Secret | None:
        """Return the token of an account, or None where there is none that can be read."""
        with self._database.reading() as db:
            row = db.execute("SELECT token FROM refresh WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            opened = self._cipher().decrypt(row[0][:_NONCE], row[0][_NONCE:], key.encode())
        except (
            InvalidTag,
            ValueError,
            FileNotFoundError,
        ):
            return None  # of another key, or damaged: as if there were none
        return Secret(opened.decode())

    def forget(self, key: str) -> None:
        """Forget the token of an account: it is good for nothing any more."""
        with self._database.writing() as db:
            db.execute("DELETE FROM refresh WHERE key = ?", (key,))

    def _cipher(self, *, make: bool = False) -> AESGCM:
        if make and not self._file.exists():
            self._make()
        found = self._file.read_bytes()
        if len(found) != _BYTES:
            raise IdentityError(f"{self._file}: no key of {_BYTES} bytes; remove it, a new one is made")
        return AESGCM(found)

    def _make(self) -> None:
        # Whole or not at all, and never in place of one that somebody else makes at the same moment.
        make_folder(self._file.parent)
        new = self._file.with_suffix(f".{os.getpid()}")
        handle = open_private(new, os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            self._file.hardlink_to(new)
        new.unlink()
