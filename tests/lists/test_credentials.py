"""Secrets by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.lists.credentials import DIRECTORY, CredentialError, Credentials


def _secret(folder: Path, name: str, text: str, mode: int = 0o600) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(mode)


def test_a_systemd_credential_comes_first(tmp_path: Path) -> None:
    """What systemd hands over counts before a file; a last line end is not part of the secret."""
    _secret(tmp_path / "secrets", "iwf", "file\n")
    _secret(tmp_path / "given", "iwf", "given\n")
    environment = {DIRECTORY: str(tmp_path / "given")}
    assert Credentials(tmp_path, environment).find("iwf").reveal() == "given"
    assert Credentials(tmp_path, {}).find("iwf").reveal() == "file"


def test_what_is_not_kept_well_is_refused(tmp_path: Path) -> None:
    """A secret that others may read, is empty or is missing is told by name, never by its text."""
    _secret(tmp_path / "secrets", "open", "hush", 0o644)
    _secret(tmp_path / "secrets", "empty", "\n")
    (tmp_path / "secrets" / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "secrets" / "binary").chmod(0o600)
    for name, said in (
        ("open", "other users"),
        ("empty", "empty"),
        ("gone", "no secret"),
        ("binary", "cannot be read"),
    ):
        with pytest.raises(CredentialError, match=said) as caught:
            Credentials(tmp_path, {}).find(name)
        assert "hush" not in str(caught.value)


def test_it_cannot_be_printed(tmp_path: Path) -> None:
    """The value is a Secret: its text forms are redacted."""
    _secret(tmp_path / "secrets", "iwf", "hush")
    assert "hush" not in repr(Credentials(tmp_path, {}).find("iwf"))
