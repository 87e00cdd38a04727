from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from appliance import owners
from tests.doubles.people import school

GATEWAY = 990


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Let the test be root in folders of the gateway's user; return what was given away."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda _made, user, group: given.append((user, group)))
    stat = Path.stat

    def theirs(path: Path, **how: Any) -> os.stat_result:
        found = list(stat(path, **how))
        found[4] = found[5] = GATEWAY
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", theirs)
    return given


def test_what_root_makes_is_the_gateways(given: list[tuple[int, int]], tmp_path: Path) -> None:
    """A command with sudo leaves no folder, database or trail that the gateway could not write."""
    made = school(tmp_path)
    assert given == [(GATEWAY, GATEWAY)] * 2
    made.trail.add("freeze", "amy", by="head", at=0.0)
    assert given == [(GATEWAY, GATEWAY)] * 5  # a folder, a lock and a file


def test_nobody_else_gives_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The gateway itself, without any right, makes its files as its own."""
    monkeypatch.setattr(os, "geteuid", lambda: GATEWAY)
    owners.make_folder(tmp_path / "identity")
    os.close(owners.open_private(tmp_path / "identity" / "file", os.O_WRONLY))
    assert (tmp_path / "identity").stat().st_mode & 0o077 == 0
    assert (tmp_path / "identity" / "file").stat().st_mode & 0o077 == 0


def test_root_follows_no_link(tmp_path: Path) -> None:
    """A hole in the gateway is no way to have root write somewhere else."""
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        owners.open_private(tmp_path / "file", os.O_WRONLY)
    assert not (tmp_path / "elsewhere").exists()
