"""Whether a download is genuine."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.lists.verify import NotGenuineError, check_minisign, check_sha256, published_sha256, sha256_of

CONTENT = b"a.example\n"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(b"Ed" + b"KEYIDKEY" + KEY.public_key().public_bytes_raw()).decode()
# The layout of minisign's own files: comment, signature, trusted comment, signature over both.
COMMENT = b"timestamp:1795255200\tfile:list"


def _signature(
    content: bytes = CONTENT, algorithm: bytes = b"ED", key_id: bytes = b"KEYIDKEY", comment: bytes = COMMENT
) -> str:
    signed = KEY.sign(hashlib.blake2b(content).digest())
    overall = base64.b64encode(KEY.sign(signed + COMMENT)).decode()
    first = base64.b64encode(algorithm + key_id + signed).decode()
    return f"untrusted comment: x\n{first}\ntrusted comment: {comment.decode()}\n{overall}\n"


def test_a_good_signature_is_taken(tmp_path: Path) -> None:
    """What the publisher signed passes, as a file and in memory."""
    file = tmp_path / "list"
    file.write_bytes(CONTENT)
    check_minisign(PUBLIC, _signature(), file)
    check_minisign(f"untrusted comment: key\n{PUBLIC}\n", _signature(), CONTENT)


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (_signature(b"b.example\n"), "does not fit"),
        (_signature(comment=b"file:another"), "does not fit"),
        (_signature(key_id=b"ANOTHERK"), "another key"),
        (_signature(algorithm=b"Ed"), "old form"),
        ("", "no minisign signature"),
        ("<html>\n\n\n\n", "no minisign signature"),
        ("a\n!!!\ntrusted comment: x\nAAAA\n", "no minisign signature"),
    ],
)
def test_anything_else_is_refused(signature: str, said: str) -> None:
    """Other content, another comment, another key, an old form and rubbish are all told apart and refused."""
    with pytest.raises(NotGenuineError, match=said):
        check_minisign(PUBLIC, signature, CONTENT)


@pytest.mark.parametrize("key", ["", "x", base64.b64encode(b"Ed" + bytes(39)).decode()])
def test_a_key_that_is_none_is_told(key: str) -> None:
    """A mistyped key in the catalogue is no reason to take everything."""
    with pytest.raises(NotGenuineError, match="no minisign key"):
        check_minisign(key, _signature(), CONTENT)


def test_checksums(tmp_path: Path) -> None:
    """A published checksum is found by the file's name, and a difference is refused."""
    file = tmp_path / "list"
    file.write_bytes(CONTENT)
    right, wrong = sha256_of(file), "0" * 64
    assert published_sha256(f"{wrong}  other.txt\n{right.upper()} *list.txt\n", "list.txt") == right
    assert published_sha256(f"{right}\n", "list.txt") == right
    for text in ("", "<html>", f"{right} a\n{wrong} b\n", f"{right} list\n{wrong} list\n"):
        with pytest.raises(NotGenuineError, match="none for this file"):
            published_sha256(text, "list")
    check_sha256(right, right.upper())
    with pytest.raises(NotGenuineError, match="differs"):
        check_sha256(right, wrong)
