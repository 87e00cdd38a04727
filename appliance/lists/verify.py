"""Whether a download is what its publisher made: SHA-256 and minisign signatures.

What lives only here: the reading of checksums and of minisign's files (Ed25519 over BLAKE2b-512,
the form that minisign writes today).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.config.problems import InWordsError

_KEY = re.compile(rb"Ed(.{8})(.{32})", re.DOTALL)
_SIGNATURE = re.compile(rb"(E[dD])(.{8})(.{64})", re.DOTALL)
_DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")
_LINES = 4
_CHUNK = 1 << 20


class NotGenuineError(InWordsError):
    """The download is not what its publisher made, or that cannot be told; the message says which."""


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def published_sha256(text: str, name: str) -> str:
    """Return the checksum that a published file holds for `name`, or its only one.

    Raises `NotGenuineError`.
    """
    lines = [line for line in text.splitlines() if _DIGEST.search(line)]
    fitting = [line for line in lines if name in line] if len(lines) > 1 else lines
    if len(fitting) != 1 or not (found := _DIGEST.search(fitting[0])):
        raise NotGenuineError("the published checksum holds none for this file")
    return found[0].lower()


def check_sha256(actual: str, expected: str) -> None:
    """Raise `NotGenuineError` where the two differ."""
    if actual != expected.lower():
        raise NotGenuineError("the checksum differs from the published one")


def check_minisign(public_key: str, signature: str, content: Path | bytes) -> None:
    """Check a detached minisign signature, its trusted comment included; raises `NotGenuineError`."""
    key_id, key = _public(public_key)
    algorithm, signer, signed, comment, overall = _parsed(signature)
    if algorithm == b"Ed":
        raise NotGenuineError("the signature is of minisign's old form; sign with a newer minisign")
    if signer != key_id:
        raise NotGenuineError("the signature was made with another key")
    try:
        key.verify(signed, _hashed(content))
        key.verify(overall, signed + comment)
    except InvalidSignature:
        raise NotGenuineError("the signature does not fit the download") from None


def _public(text: str) -> tuple[bytes, Ed25519PublicKey]:
    found = _KEY.fullmatch(_decoded(text.strip().splitlines()[-1] if text.strip() else ""))
    if not found:
        raise NotGenuineError("the public key in the catalogue is no minisign key")
    return found[1], Ed25519PublicKey.from_public_bytes(found[2])


def _parsed(text: str) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    lines = text.splitlines()
    prefix = "trusted comment: "
    if len(lines) < _LINES or not lines[2].startswith(prefix):
        raise NotGenuineError("what was published is no minisign signature")
    found = _SIGNATURE.fullmatch(_decoded(lines[1]))
    if not found:
        raise NotGenuineError("what was published is no minisign signature")
    return found[1], found[2], found[3], lines[2].removeprefix(prefix).encode(), _decoded(lines[3])


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hashed(content: Path | bytes) -> bytes:
    digest = hashlib.blake2b()
    if isinstance(content, bytes):
        digest.update(content)
    else:
        with content.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.digest()
