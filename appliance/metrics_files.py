"""The files in which several processes' numbers lie, and what happens when there is no room for them.

What lives only here: which folder a process counts into, and the promise that a full disk costs numbers and
never a process. prometheus-client maps its files into memory and grows them as holes; on a full disk the
first write into such a hole kills the process (SIGBUS). So room is allocated first, and where there is
none, the numbers are kept in this process's memory alone, which is said once.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.mmap_dict import MmapedDict

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
FIRST_SIZE = 1 << 16
"""Bytes with which the library begins a file."""

_log = logging.getLogger(__name__)


class _Process:
    """What is true of this process as a whole: its id, and the one directory that it counts into."""

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.complained = False
        self._pid = os.getpid()
        self.forked = False
        os.register_at_fork(after_in_child=self._forked)

    def identifier(self) -> int:
        return self._pid

    def _forked(self) -> None:
        self._pid, self.forked = os.getpid(), True


_process = _Process()


def registry(directory: Path | None) -> CollectorRegistry:
    """Return a registry whose numbers lie in `directory`, for all processes; None: in this one alone.

    Raises ValueError for a second directory.
    """
    # The library looks at this variable when it is imported, and then never again. So it is set
    # first, and every import of the library stands inside a function, after this one has run.
    if directory is not None:
        directory = directory.absolute()
        if _process.directory not in (None, directory):
            raise ValueError(f"this process counts into {_process.directory} already, not into {directory}")
        with suppress(OSError):  # a full disk: what cannot be opened there is kept in memory
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[VARIABLE] = str(directory)
    from prometheus_client import CollectorRegistry, values  # noqa: PLC0415 - as just said

    if directory is None:
        values.ValueClass = values.MutexValue
    elif directory != _process.directory:
        # The one name of the library's that is replaced: it asks nobody of which class its files are.
        setattr(values, "MmapedDict", roomy())  # noqa: B010 - said aloud, as it replaces a name
        # The process id, which the library asks for at each count, costs a system call; ours does not.
        values.ValueClass = _quick(values.MultiProcessValue(_process.identifier))  # type: ignore[no-untyped-call] # it has none
        _process.directory, _process.forked = directory, False
    return CollectorRegistry()


def _quick(library: Any) -> Any:  # noqa: ANN401 - a class that the library makes
    """Return the library's number in a file, with a shorter way to add to it: seven for each connection."""

    class Quick(library):  # type: ignore[misc] # as above
        """One number; after a fork the library's own way finds the child's file first."""

        _adding = threading.Lock()

        def inc(self, amount: float) -> None:
            if _process.forked:
                super().inc(amount)
                return
            with self._adding:
                self._value += amount
                self._file.write_value(self._key, self._value, 0.0)

    return Quick


def roomy() -> type[MmapedDict]:  # noqa: C901 - one small class, which must not be imported earlier
    """Return the library's file of numbers, with room allocated before anything is written to it."""
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - see registry

    pack = struct.Struct("dd").pack

    class RoomyDict(MmapedDict):
        """A file of numbers; those that find no room in it are in memory alone."""

        def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
            self._spare: dict[str, tuple[float, float]] = {}
            self._positions: dict[str, int] = {}
            self._there = read_mode or _begin(filename)
            if self._there:
                super().__init__(filename, read_mode)  # type: ignore[no-untyped-call] # it has none

        def read_value(self, key: str) -> tuple[float, float]:
            known = key in self._positions or key in self._spare
            if not known and not (self._there and self._make_room(key)):
                self._spare[key] = (0.0, 0.0)
            if key in self._spare:
                return self._spare[key]
            found: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call] # see above
            return found

        def write_value(self, key: str, value: float, timestamp: float) -> None:
            at = self._positions.get(key)
            if at is not None and self._m is not None:
                self._m[at : at + 16] = pack(value, timestamp)  # as the library does, with two calls less
            elif key in self._spare:
                self._spare[key] = (value, timestamp)
            else:
                super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call] # see above

        def _make_room(self, key: str) -> bool:
            wanted = self._used + len(key.encode()) + 32  # its length, padding and two numbers
            capacity = self._capacity
            while capacity < wanted:
                capacity *= 2  # as the library will
            return capacity == self._capacity or _allocated(self._f.fileno(), capacity)

        def close(self) -> None:
            if self._there:
                super().close()  # type: ignore[no-untyped-call] # see above

    return RoomyDict


def _begin(filename: str) -> bool:
    """Make the file with all its room; remove one that got none, which nobody could read."""
    try:
        file = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _complain(error)
        return False
    try:
        size = os.fstat(file).st_size
        if _allocated(file, max(size, FIRST_SIZE)):
            return True
    finally:
        os.close(file)
    with suppress(OSError):
        Path(filename).unlink()
    return False


def _allocated(file: int, size: int) -> bool:
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        _complain(error)
        return False
    return True


def _complain(error: OSError) -> None:
    if not _process.complained:
        _process.complained = True
        _log.warning(
            "some numbers of this process are not shown: %s (%s); make room there and restart the gateway",
            os.environ.get(VARIABLE, ""),
            error.strerror,
        )
