"""What every way to somebody has in common: how it fails, and how its secret is read."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Protocol

from appliance.alerts.outbox import Letter
from appliance.model.secret import Secret


class WayError(Exception):
    """Not delivered this time; the text says why. It is tried again."""


class RefusedError(WayError):
    """The other side will never take it: trying again makes no sense."""


class Way(Protocol):
    """A way by which somebody can be told."""

    async def send(self, letter: Letter) -> None:
        """Return when the other side has taken it; WayError when not."""


def read_secret(path: Path) -> Secret:
    """Return the first line of a file that only its owner may read; WayError where that is not so."""
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise WayError(f"{path}: others may read this secret; chmod 600 {path}")
            text = file.readline(4_096).rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        raise WayError(f"{path}: the secret cannot be read ({error})") from error
    if not text:
        raise WayError(f"{path}: the file is empty; its first line is the secret")
    return Secret(text)
