"""Where the lists keep what they write, and how a file there is replaced whole or not at all.

What lives only here: whom a new file belongs to. A technician calls these verbs with sudo on a state
that is the gateway's: what root writes there is given to the owner of the folder, or the gateway could
not read its own lists, and the gate would close.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Paths:
    """The files below the state folder that belong to the lists."""

    state: Path

    @property
    def root(self) -> Path:
        """The folder of everything below."""
        return self.state / "lists"

    @property
    def table(self) -> Path:
        """The compiled table that all workers map."""
        return self.root / "table.bin"

    @property
    def floor(self) -> Path:
        """The keyed hashes of the statutory lists."""
        return self.root / "floor.bin"

    @property
    def floor_key(self) -> Path:
        """Their key, for the worker's user alone."""
        return self.root / "floor.key"

    @property
    def local(self) -> Path:
        """The school's own decisions, one JSON object a line."""
        return self.root / "local.jsonl"

    @property
    def imported(self) -> Path:
        """One folder a list that was imported."""
        return self.root / "imported"

    @property
    def updates(self) -> Path:
        """One file a feed: what its updates came to."""
        return self.root / "updates"

    @property
    def downloads(self) -> Path:
        """One folder a feed: what is being fetched. Never a statutory list."""
        return self.root / "downloads"

    @property
    def problems(self) -> Path:
        """One file a list: the lines that are not used, and why."""
        return self.root / "problems"


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield a new file that takes the place of `path` when the block ends well.

    The bytes are on the disk before the name changes. When anything fails, and when the machine
    stops half-way, the old file stays as it was.
    """
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.new")
    try:
        with open_owned(draft, "w+b", mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def alone(paths: Paths, name: str = ".lock") -> Iterator[None]:
    """Keep every other process that asks for the same lock waiting meanwhile."""
    make_folder(paths.root)
    with open_owned(paths.root / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_folder(path: Path) -> None:
    """Make a folder, and those above it; made by root, each belongs to the owner of the one it is in."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        _chown(folder, folder.parent)


def open_owned(
    path: Path, mode: str, rights: int = 0o666, *, encoding: str | None = None, newline: str | None = None
) -> IO[Any]:
    """Open a file as `open` does; made by root, it belongs to the owner of its folder.

    A symbolic link in its place is an OSError: whoever owns the folder must not choose what root writes.
    """

    def opener(name: str, flags: int) -> int:
        handle = os.open(name, flags | os.O_NOFOLLOW, rights)
        _chown(handle, path.parent)
        return handle

    return open(path, mode, encoding=encoding, newline=newline, opener=opener)


def _chown(target: int | Path, folder: Path) -> None:
    if os.geteuid() == 0 and (owner := folder.stat()).st_uid != 0:
        os.chown(target, owner.st_uid, owner.st_gid)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
