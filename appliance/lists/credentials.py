"""The secrets that feeds need, found by name and never shown.

What lives only here: where a secret lies. systemd's credentials come first ($CREDENTIALS_DIRECTORY),
then files in STATE/secrets, which their owner alone may read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from appliance.config.problems import InWordsError
from appliance.model.secret import Secret

DIRECTORY = "CREDENTIALS_DIRECTORY"
_OTHERS_MAY_READ = 0o077
_MOST = 64 * 1024


class CredentialError(InWordsError):
    """A secret is missing or not kept well; the message names it, never its text."""


class Credentials:
    """Finds secrets by name; `environment` is the process's own by default."""

    def __init__(self, state: Path, environment: Mapping[str, str] | None = None) -> None:
        given = (os.environ if environment is None else environment).get(DIRECTORY)
        self._given = Path(given) if given else None
        self._own = state / "secrets"

    def find(self, name: str) -> Secret:
        """Return the secret's text without its last line end; raises `CredentialError`."""
        if self._given is not None and (self._given / name).is_file():
            return _read(self._given / name, name)
        path = self._own / name
        try:
            mode = path.stat().st_mode
        except OSError:
            raise CredentialError(
                f"there is no secret {name!r}: set it as a systemd credential, or as the file {path}"
            ) from None
        if mode & _OTHERS_MAY_READ:
            raise CredentialError(f"the secret {name!r} may be read by other users: chmod 600 {path}")
        return _read(path, name)


def _read(path: Path, name: str) -> Secret:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise CredentialError(f"the secret {name!r} cannot be read") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(text) > _MOST:
        raise CredentialError(f"the secret {name!r} is empty or far too long")
    return Secret(text)
