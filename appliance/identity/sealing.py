"""Small secrets that lie in the database of people, sealed with a key in a file beside it.

What lives only here: the seal (AES-256-GCM), bound to the account that it is for: a copy of the database
alone opens none of them, and none serves another account.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.identity.names import IdentityError
from appliance.owners import make_folder, open_private

_BYTES, _NONCE = 32, 12


class Seal:
    """One key in one file, made when it is first needed; IdentityError, OSError."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def close(self, data: bytes, whose: str) -> bytes:
        """Return `data` sealed for the account `whose`."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher(make=True).encrypt(nonce, data, whose.encode())

    def open(self, sealed: bytes, whose: str) -> bytes | None:
        """Return what was sealed for this account; None for another key or account, or damage."""
        try:
            return self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], whose.encode())
        except (InvalidTag, ValueError, FileNotFoundError):
            return None

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
