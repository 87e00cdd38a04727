"""Where the lists keep what they write, and how a file there is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode), "w+b") as file:
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
    paths.root.mkdir(parents=True, exist_ok=True)
    with (paths.root / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
