"""Secrets that a way needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.alerts.ways import WayError, read_secret


def test_a_secret_is_the_first_line_of_a_private_file(tmp_path: Path) -> None:
    """An editor's line end is no part of a password."""
    path = tmp_path / "secret"
    path.write_text("hunter2\r\nmore\n")
    path.chmod(0o600)
    assert read_secret(path).reveal() == "hunter2"


@pytest.mark.parametrize(("text", "mode", "said"), [("", 0o600, "empty"), ("x", 0o640, "chmod 600")])
def test_a_secret_that_is_none_is_told(tmp_path: Path, text: str, mode: int, said: str) -> None:
    """What is wrong with the file is said, and never what is in it."""
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(WayError, match=said):
        read_secret(path)


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A technician reads which file is missing."""
    with pytest.raises(WayError, match="cannot be read"):
        read_secret(tmp_path / "none")
