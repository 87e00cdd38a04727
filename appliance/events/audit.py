"""The audit trail: who did what to whom, in a file where nothing can be changed unseen.

What lives only here: adding a record, and where the file lies. How records follow from each other is
`verify_audit`'s. It holds no password.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.events.errors import EventsError
from appliance.events.record import clean
from appliance.events.verify_audit import FIRST, TRAIL, canonical, check_chain, line_hash
from appliance.owners import make_folder, open_private

FOLDER = "audit"
OLDER = Path("identity") / TRAIL
"""Where the trail lay in older releases."""

_LONGEST = 1_000  # characters of one detail
_TAIL = 65_536  # bytes in which the last line is found: no line is longer


@dataclass(frozen=True, slots=True)
class End:
    """Where the trail ends: how many records, the hash of the last one, and where the next one begins."""

    records: int
    head: str
    size: int


class Trail:
    """The audit trail in the folder `state`."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / TRAIL
        self._older = state / OLDER

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Add one record, on the disk when this returns; OSError if it cannot be.

        `what` was done to `whom` by `by`, at a moment in seconds since 1970. EventsError for a damaged file.
        """
        entry = {name: _short(value) for name, value in details.items() if value not in ("", None)}
        entry["at"] = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        entry |= {"what": _short(what), "whom": _short(whom), "by": _short(by)}
        with self.alone() as end:
            self._append(end, canonical(entry | {"n": end.records + 1, "before": end.head}) + b"\n")

    def entries(self) -> list[dict[str, Any]]:
        """Return every record, the oldest first; EventsError naming the line where the chain is broken."""
        path = self.path if self.path.exists() else self._older
        if not path.exists():
            return []
        lines = _whole_lines(path.read_bytes())
        if found := check_chain(lines).findings:
            raise EventsError(
                f"{path}: the audit trail was changed: {found[0]}; keep this file as it is, compare it with "
                "the last backup, and ask `appliance audit verify`"
            )
        return [json.loads(line) for line in lines]

    def last(self, what: str) -> dict[str, Any] | None:
        """Return the newest record of a kind, found from the end; the chain is not checked: it is quick."""
        try:
            with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                place = data.rfind(b'"what":' + canonical(what))
                start, end = data.rfind(b"\n", 0, max(place, 0)) + 1, data.find(b"\n", max(place, 0))
                found = json.loads(data[start:end]) if place >= 0 and end >= 0 else None
        except (FileNotFoundError, ValueError):
            return None  # none yet, an empty file, or a broken line: verifying tells of that
        return found if isinstance(found, dict) else None

    @contextmanager
    def alone(self) -> Iterator[End]:
        """Keep everybody else from writing meanwhile, and say where the trail ends; OSError, EventsError."""
        make_folder(self.path.parent)
        # A lock of its own, and not on the file: the file may be moved here while somebody waits for it.
        with os.fdopen(open_private(self.path.with_name(".lock"), os.O_RDWR), "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.path.exists():
                with suppress(FileNotFoundError):
                    self._older.rename(self.path)  # whole, and the chain goes on from its last line
            yield self._end()

    def _end(self) -> End:
        if not self.path.exists():
            return End(0, FIRST, 0)
        with self.path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
            file.seek(start)
            last = _whole_lines(file.read())
            if start and not last:
                raise EventsError(f"{self.path}: its end is no audit trail; restore it from the last backup")
            if not last:
                return End(0, FIRST, 0)
            number = _number(last[-1])
            if not number:  # an older release did not number its records
                file.seek(0)
                number = sum(line.endswith(b"\n") for line in file)
        return End(number, line_hash(last[-1]), start + sum(map(len, last)))

    def _append(self, end: End, line: bytes) -> None:
        handle = open_private(self.path, os.O_WRONLY)
        try:
            # A line that a power cut or a full disk left half is cut off: it never counted, for nobody was
            # told that it did.
            os.ftruncate(handle, end.size)
            done = 0
            while done < len(line):
                done += os.pwrite(handle, line[done:], end.size + done)
            os.fsync(handle)
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, end.size)
            raise
        finally:
            os.close(handle)


def _number(line: bytes) -> int:
    try:
        number = json.loads(line)["n"]
    except (ValueError, KeyError, TypeError):
        return 0
    return number if isinstance(number, int) else 0


def _whole_lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _short(value: str | float | None) -> str | float | None:
    return clean(value, _LONGEST) if isinstance(value, str) else value
