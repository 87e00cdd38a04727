"""Opening what statutory lists come in."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pyrage
import pytest
import pyzipper

from appliance.lists.custody import MOST_BYTES, CustodyError, entries, open_container
from appliance.lists.feeds import Container
from appliance.model.secret import Secret

PLAIN = b"# list\nhttp://unspeakable.example/page\n"
PASSWORD = Secret("correct horse")


def _zip(content: bytes = PLAIN, password: str | None = PASSWORD.reveal()) -> bytes:
    raw = io.BytesIO()
    with pyzipper.AESZipFile(
        raw, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES if password else None
    ) as archive:
        if password:
            archive.setpassword(password.encode())
        archive.writestr("list.txt", content)
    return raw.getvalue()


@pytest.mark.slow
def test_age_with_a_key_and_with_a_passphrase() -> None:
    """Both ways of age are opened, and the wrong secret is not."""
    identity = pyrage.x25519.Identity.generate()
    raw = pyrage.encrypt(PLAIN, [identity.to_public()])
    assert open_container("age", raw, Secret(str(identity))) == PLAIN
    other = Secret(str(pyrage.x25519.Identity.generate()))
    for wrong in (other, Secret("AGE-SECRET-KEY-1NONSENSE"), PASSWORD):
        with pytest.raises(CustodyError, match="age file"):
            open_container("age", raw, wrong)
    locked = pyrage.passphrase.encrypt(PLAIN, "correct horse")
    assert open_container("age", locked, PASSWORD) == PLAIN


@pytest.mark.slow
def test_zip_with_a_password() -> None:
    """AES is opened; a wrong password, rubbish and a zip without a password are refused."""
    assert open_container("zip", _zip(), PASSWORD).strip() == PLAIN.strip()
    for raw, said in (
        (_zip(password="x"), "cannot be opened"),
        (b"PK", "cannot"),
        (_zip(password=None), "not pro"),
    ):
        with pytest.raises(CustodyError, match=said):
            open_container("zip", raw, PASSWORD)


@pytest.mark.slow
def test_a_zip_bomb_is_refused() -> None:
    """A small file that opens to gigabytes does not take the machine's memory."""
    bomb = _zip(bytes(MOST_BYTES + 1))
    assert len(bomb) < 1_000_000
    with pytest.raises(CustodyError, match="larger than"):
        open_container("zip", bomb, PASSWORD)


@pytest.mark.slow
def test_gpg_with_a_passphrase(tmp_path: Path) -> None:
    """What gpg locked is opened between two pipes, and the wrong passphrase is told as such."""
    command = ["gpg", "--homedir", str(tmp_path), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    command += ["--passphrase", "correct horse", "--symmetric", "--output", "-"]
    tmp_path.chmod(0o700)
    raw = subprocess.run(command, input=PLAIN, capture_output=True, check=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--kill", "all"], check=False)
    assert open_container("gpg", raw, PASSWORD) == PLAIN
    for wrong, data in ((Secret("x"), raw), (PASSWORD, b"rubbish"), (PASSWORD, raw[:-5])):
        with pytest.raises(CustodyError, match="gpg cannot open"):
            open_container("gpg", data, wrong)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\n<html>no such page</html>", "web page"),
        (b"\x1f\x8b\x08rubbish", "packed or encrypted"),
        (b"age-encryption.org/v1\n", "packed or encrypted"),
    ],
)
def test_what_is_no_list_is_not_taken(raw: bytes, said: str) -> None:
    """A web page, or an encrypted file without its container named, is never hashed line by line."""
    with pytest.raises(CustodyError, match=said):
        list(entries(raw, None, None))


def test_entries_are_secrets_from_the_first_moment() -> None:
    """Comments go, and what is left cannot be printed."""
    found = list(entries(_zip(), Container(kind="zip", secret="s"), PASSWORD))
    assert [one.reveal() for one in found] == ["http://unspeakable.example/page"]
    assert "unspeakable" not in repr(found)


def test_a_machine_without_gpg_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is a sentence, not a traceback."""
    monkeypatch.setitem(os.environ, "PATH", "")
    with pytest.raises(CustodyError, match="not installed"):
        open_container("gpg", b"x", PASSWORD)
