"""Replacing files whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from appliance.lists.paths import PRIVATE, Paths, alone, open_owned, replacing


def test_new_content_takes_the_old_ones_place(tmp_path: Path) -> None:
    """After a good end the file is the new one, and no draft is left."""
    path = tmp_path / "deep" / "table"
    for content in (b"old", b"new"):
        with replacing(path) as file:
            file.write(content)
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["table"]


def test_failure_half_way_changes_nothing(tmp_path: Path) -> None:
    """An error while writing leaves the old file and no draft."""
    path = tmp_path / "table"
    path.write_bytes(b"old")

    def write() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        write()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["table"]


def test_private_files_are_private_from_the_start(tmp_path: Path) -> None:
    """The floor's files are never readable by others, not even while they are written."""
    with replacing(tmp_path / "key", PRIVATE) as file:
        draft = tmp_path / ".key.new"
        assert stat.S_IMODE(draft.stat().st_mode) == PRIVATE
        file.write(b"x")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == PRIVATE


def test_two_compiles_wait_for_each_other(tmp_path: Path) -> None:
    """The second to ask for the lock gets it when the first is done."""
    order: list[str] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with alone(Paths(tmp_path)):
            order.append("second")

    thread = threading.Thread(target=second)
    with alone(Paths(tmp_path)):
        thread.start()
        started.wait(5)
        thread.join(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_what_root_writes_belongs_to_the_owner_of_the_state(tmp_path: Path) -> None:
    """A gateway that runs as its own user can read what a technician wrote with sudo."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12_345, 12_345)
    owner = tmp_path.stat().st_uid
    with alone(Paths(tmp_path)), replacing(Paths(tmp_path).imported / "deep" / "keys") as file:
        assert os.fstat(file.fileno()).st_uid == owner  # before the name changes, so no reader meets it
    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {owner}


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """Whoever owns the state cannot make root write to, or give away, another file."""
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(OSError, match="symbolic link"):
        open_owned(tmp_path / "link", "w")
    assert other.read_text() == "kept"
