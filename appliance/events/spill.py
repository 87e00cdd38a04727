"""The second place for flagged events, when the database does not take them.

What lives only here: the files STATE/spill/*.jsonl. A process writes to a file of its own and holds its
lock as long as it lives; a file whose lock is free belongs to nobody any more, and whoever takes the
lock takes the events in. The lock, not the process id in the name, says who lives: ids return.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from appliance.events.record import Entry, from_line, to_line

RESERVE = 1 << 20
"""Bytes kept back for a full disk: room for some two thousand flagged events."""

ROTATE = 1 << 20
"""Bytes after which a new file is begun, so that taking one in is one short transaction."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Claim:
    """A file that is ours to take in: its events, and how many lines could not be read."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Read the open and locked `file` of that path."""
        self._path = path
        self._file = file
        self.entries: list[Entry] = []
        self.unreadable = 0
        # What follows the last line end was never acknowledged to anybody: its writer died in it.
        for line in file.read().split(b"\n")[:-1]:
            try:
                self.entries.append(from_line(line.decode("ascii")))
            except ValueError:
                self.unreadable += 1

    @property
    def name(self) -> str:
        """The file's name, unlike that of any other spill file ever."""
        return self._path.name

    def done(self) -> None:
        """Remove the file; one with unreadable lines is kept beside, for a technician to look at."""
        if self.unreadable:
            self._path.rename(self._path.with_suffix(".unreadable"))
        else:
            self._path.unlink()
        _sync_folder(self._path.parent)
        self._file.close()

    def leave(self) -> None:
        """Leave the file as it is, for a later round."""
        self._file.close()


class Spill:
    """This process's spill file, and the way to all files that nobody holds."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, made if missing; raises OSError when that is impossible."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._file = -1
        self._good = 0
        self.keep_reserve()

    def append(self, entries: Sequence[Entry]) -> None:
        """Write `entries` so that a power cut cannot undo it; raise OSError when that failed."""
        data = b"".join(to_line(entry).encode() + b"\n" for entry in entries)
        if self._good > ROTATE:
            self.release()
        try:
            self._write(data)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            (self._folder / "reserve").unlink(missing_ok=True)
            self._write(data)

    def release(self) -> None:
        """Let go of the own file, so that it can be taken in, here or by another process."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._good = -1, 0

    def keep_reserve(self) -> None:
        """Set disk space aside, if there is some; an appliance whose disk is full already has none."""
        try:
            file = os.open(self._folder / "reserve", os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError:
            return
        with suppress(OSError):
            os.posix_fallocate(file, 0, RESERVE)
        os.close(file)

    def waiting(self) -> list[Path]:
        """Return the files there are, oldest first; some may still belong to a living process."""
        return sorted(self._folder.glob("*.jsonl"), key=lambda path: path.name)

    def claim(self, path: Path) -> Claim | None:
        """Take `path` until `done` or `leave` is called; None if its writer lives or it is gone."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have taken it in, and removed it, between our open and our lock.
            if os.fstat(file.fileno()).st_nlink and path.exists():
                return Claim(path, file)
        except OSError:
            file.close()
            return None
        file.close()
        return None

    def _write(self, data: bytes) -> None:
        if self._file < 0:
            self._file = self._create()
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            # Half a line must not stay: the next good one would be glued to it.
            os.ftruncate(self._file, self._good)
            raise
        self._good += len(data)

    def _create(self) -> int:
        # Locked under another name first: else another process could find it unlocked and remove it.
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(6)}.new"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            path.rename(path.with_suffix(".jsonl"))
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        return file


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
