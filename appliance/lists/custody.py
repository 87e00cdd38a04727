"""Opens the containers in which a statutory list is supplied, in memory alone.

What lives only here: age, zip with a password, and GPG. Nothing is written to the disk, nothing of
the content stands in an error, and what unpacks to more than it may is refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import pyrage
import pyzipper

from appliance.config.problems import InWordsError
from appliance.lists.feeds import Container
from appliance.lists.lock import secrets_in
from appliance.lists.unpack import SourceError, decoded
from appliance.model.secret import Secret

MOST_BYTES = 64 << 20
"""Size at which an opened list is refused: the largest statutory list has a few megabytes."""
_GPG_SECONDS = 60.0
_AGE_IDENTITY = "AGE-SECRET-KEY-"
_PACKED = (
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\xfd7zXZ\x00",
    b"BZh",
    b"\x28\xb5\x2f\xfd",
    b"age-encryption",
    b"-----BEGIN",
)


class CustodyError(InWordsError):
    """The container cannot be opened; the message says why, and holds nothing of its content."""


def open_container(kind: str, raw: bytes, secret: Secret) -> bytes:
    """Return what a container of this kind (age, zip or gpg) holds; raises `CustodyError`."""
    openers = {"age": _age, "zip": _zip, "gpg": _gpg}
    plain = openers[kind](raw, secret)
    if len(plain) > MOST_BYTES:
        raise CustodyError(_too_large())
    return plain


def entries(raw: bytes, container: Container | None, secret: Secret | None) -> Iterator[Secret]:
    """Yield the entries of a supplied list; raises `CustodyError`."""
    plain = open_container(container.kind, raw, secret) if container and secret else raw
    if plain.lstrip()[:1] == b"<":
        raise CustodyError("this is a web page, not a list")
    if plain.startswith(_PACKED):
        raise CustodyError("this is packed or encrypted; name its `container` in the catalogue")
    try:
        yield from secrets_in(decoded(io.BytesIO(plain)))
    except SourceError:
        raise CustodyError("the list cannot be read") from None


def _age(raw: bytes, secret: Secret) -> bytes:
    text = secret.reveal()
    try:
        if text.startswith(_AGE_IDENTITY):
            return bytes(pyrage.decrypt(raw, [pyrage.x25519.Identity.from_str(text.strip())]))
        return bytes(pyrage.passphrase.decrypt(raw, text))
    except (pyrage.DecryptError, pyrage.IdentityError):
        raise CustodyError("the age file cannot be opened with this secret, or is damaged") from None


def _zip(raw: bytes, secret: Secret) -> bytes:
    """Return all members one after the other, encrypted with AES or in the old way."""
    plain = bytearray()
    try:
        with pyzipper.AESZipFile(io.BytesIO(raw)) as archive:
            archive.setpassword(secret.reveal().encode())
            for info in archive.infolist():
                if not info.flag_bits & 1 and not info.is_dir():
                    raise CustodyError("the zip file is not protected by a password")
                with archive.open(info) as member:
                    plain += member.read(MOST_BYTES + 1 - len(plain)) + b"\n"
                if len(plain) > MOST_BYTES:
                    raise CustodyError(_too_large())
    except (zipfile.BadZipFile, pyzipper.BadZipFile, RuntimeError, zlib.error, EOFError, ValueError):
        raise CustodyError("the zip file cannot be opened with this secret, or is damaged") from None
    return bytes(plain)


def _gpg(raw: bytes, secret: Secret) -> bytes:
    """Let gpg decrypt between two pipes; its home is empty and is thrown away."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as home:
        command = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-autostart", "--no-symkey-cache"]
        command += ["--pinentry-mode", "loopback", "--passphrase-fd", str(reading), "--decrypt"]
        with os.fdopen(writing, "wb") as pass_in:
            pass_in.write(secret.reveal().encode() + b"\n")
        try:
            return _piped(command, raw, reading)
        except FileNotFoundError:
            raise CustodyError("the program gpg is not installed") from None
        finally:
            os.close(reading)


def _piped(command: list[str], raw: bytes, reading: int) -> bytes:
    with subprocess.Popen(  # noqa: S603 - a fixed program, and no argument from outside
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # gpg's words could hold a file name of the supplier's
        pass_fds=(reading,),
    ) as process:
        timer = threading.Timer(_GPG_SECONDS, process.kill)
        timer.start()
        feeder = threading.Thread(target=_feed, args=(process.stdin, raw))
        feeder.start()
        plain = process.stdout.read(MOST_BYTES + 1) if process.stdout else b""
        if len(plain) > MOST_BYTES:
            process.kill()
        feeder.join()
        status = process.wait()
        timer.cancel()
    if len(plain) > MOST_BYTES:
        raise CustodyError(_too_large())
    if status:
        raise CustodyError("gpg cannot open the file with this secret, or it is damaged")
    return plain


def _feed(pipe: IO[bytes] | None, raw: bytes) -> None:
    with contextlib.suppress(OSError):  # gpg has ended early: its exit status says so
        if pipe:
            pipe.write(raw)
            pipe.close()


def _too_large() -> str:
    return f"larger than {MOST_BYTES >> 20} MB when opened"
