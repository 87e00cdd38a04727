"""A bundle of files that may leave the gateway: locked in one archive, or a folder for this machine alone.

What lives only here: the archive's form (zip with AES-256, the WinZip extension that 7-Zip, WinZip and macOS
archivers open), its passwords, and how text becomes a CSV that no spreadsheet obeys.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyzipper

from appliance.config.problems import InWordsError

SHORTEST = 16
"""Fewest characters of a password that somebody types: the archive may be tried for as long as one likes."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 5, 5
_OBEYED = ("=", "+", "-", "@", "\t", "\r")


class ReportError(InWordsError):
    """A report or a bundle cannot be made; the text says why and what to do next."""


def new_password() -> str:
    """Return a password of some 120 bits that can be read out on the telephone."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def check_password(text: str) -> str:
    """Return a password that somebody typed; ReportError where it is too short."""
    if len(text) < SHORTEST:
        raise ReportError(
            f"a password of at least {SHORTEST} characters, please: whoever has the file can try for ever"
        )
    return text


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV (RFC 4180) in UTF-8 with a mark at its start, as Excel wants it.

    A cell that a spreadsheet would take for a formula begins with an apostrophe: pupils choose addresses and
    search terms.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "backslashreplace")


def _harmless(cell: object) -> str:
    text = "" if cell is None else str(cell).replace("\0", "")
    return f"'{text}" if text.startswith(_OBEYED) and not isinstance(cell, int | float) else text


def lock(files: Mapping[str, bytes], path: Path, password: str) -> str:
    """Write the files into one new encrypted archive at `path`; return its SHA-256. ReportError, OSError."""
    memory = io.BytesIO()
    with pyzipper.AESZipFile(
        memory, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password.encode())
        archive.setencryption(pyzipper.WZ_AES, nbits=256)
        for name, data in files.items():
            archive.writestr(name, data)
    write_new(path, memory.getvalue())
    return hashlib.sha256(memory.getvalue()).hexdigest()


def lay_out(files: Mapping[str, bytes], folder: Path) -> str:
    """Write the files into a new folder that its owner alone can open; return the SHA-256 of all of them."""
    digest = hashlib.sha256()
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise ReportError(f"{folder}: there is one already; give another name") from None
    for name, data in files.items():
        write_new(folder / name, data)
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest()


def write_new(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read; ReportError where something is there already."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise ReportError(f"{path}: there is a file already; give another name") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
