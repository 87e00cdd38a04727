"""Secrets that lie in a file of the technician's: read, and only where the file is kept well.

What lives only here: what "well" is. Nobody but its owner and its group may read it, and nobody but its owner
may write to it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from appliance.identity.names import IdentityError
from appliance.model.secret import Secret

_TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO
_MOST = 4096


def read_secret(path: Path) -> Secret:
    """Return the text of a file without its line end; IdentityError, without it, if it is not fit."""
    try:
        # Without waiting: a pipe in its place must not hold up whoever asks.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise IdentityError(f"{path} is no file")
            if found.st_mode & _TOO_OPEN:
                raise IdentityError(
                    f"{path} is open to others; `chmod 640 {path}`, and give it to the gateway's own group"
                )
            text = file.read(_MOST + 1).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise IdentityError(f"{path} holds no text in UTF-8") from None
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror or error}") from error
    if not text or len(text) > _MOST or "\n" in text or "\0" in text:
        raise IdentityError(f"{path} must hold one line with the secret, and nothing else")
    return Secret(text)


def certificates_problem(path: Path) -> str:
    """Return what is wrong with a file of certificates, or an empty text."""
    try:
        holds = b"-----BEGIN CERTIFICATE-----" in path.read_bytes()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    return "" if holds else f"{path} holds no certificate in PEM form"


def secret_problem(path: Path) -> str:
    """Return what is wrong with a file that is to hold a secret, or an empty text."""
    try:
        read_secret(path)
    except IdentityError as error:
        return str(error)
    return ""
