"""Who tidies: one process at a time, by a lock that ends with its holder."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class Turn:
    """The right to move the write-ahead log into the database; it passes on when its holder dies."""

    def __init__(self, path: Path) -> None:
        """Stand in line at the lock file `path`."""
        self._path = path
        self._file = -1

    def mine(self) -> bool:
        """Return True when this process has the turn; never waits, never raises."""
        if self._file >= 0:
            return True
        with suppress(OSError):
            file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
            else:
                self._file = file
        return self._file >= 0

    def give_up(self) -> None:
        """Let another process have the turn."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
