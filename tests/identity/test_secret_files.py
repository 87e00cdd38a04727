from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.identity.names import IdentityError
from appliance.identity.secret_files import certificates_problem, read_secret, secret_problem


def kept(path: Path, data: bytes, mode: int = 0o640) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_secret_is_one_line(tmp_path: Path) -> None:
    """What an editor puts at the end of a file is no part of the secret."""
    assert read_secret(kept(tmp_path / "a", "wörd\n".encode())).reveal() == "wörd"


@pytest.mark.parametrize(
    ("data", "mode", "said"),
    [
        (b"word", 0o644, "open to others"),
        (b"word", 0o660, "open to others"),
        (b"", 0o600, "one line"),
        (b"a\nb", 0o600, "one line"),
        (b"x" * 5000, 0o600, "one line"),
        (b"\xff", 0o600, "UTF-8"),
    ],
)
def test_a_secret_that_is_not_kept_well_is_not_used(
    data: bytes, mode: int, said: str, tmp_path: Path
) -> None:
    """CY: whoever could read the secret could read the directory; the message shows none of it."""
    problem = secret_problem(kept(tmp_path / "secret", data, mode))
    assert said in problem
    assert "word" not in problem


def test_what_is_no_file_holds_nobody_up(tmp_path: Path) -> None:
    """A pipe or a folder in its place is an error at once."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(IdentityError):
            read_secret(path)


def test_a_file_of_certificates_holds_one(tmp_path: Path) -> None:
    """A key or a certificate in another form is told before the first sign-in fails."""
    assert "cannot be read" in certificates_problem(tmp_path / "missing")
    assert "no certificate in PEM form" in certificates_problem(kept(tmp_path / "a", b"\x30\x82"))
    assert certificates_problem(kept(tmp_path / "b", b"-----BEGIN CERTIFICATE-----\n")) == ""
