"""The audit trail: who did what to whom, in a file where nothing can be changed unseen.

What lives only here: adding a line, and where the file lies. One JSON object a line, each with the SHA-256 of
the line before it. A line that was altered, left out or put in breaks the chain, and `entries` says where. It
holds no password.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.events.errors import EventsError
from appliance.owners import make_folder, open_private

FOLDER = "audit"
FILE = "audit.jsonl"
FIRST = "0" * 64
"""What stands for the line before the first."""

_BEFORE = Path("identity") / FILE
"""Where the trail lay in older releases."""

_LONGEST = 1_000  # characters of one detail
_TAIL = 65_536  # bytes in which the last line is found: no line is longer


class Trail:
    """The audit trail in the folder `state`."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / FILE
        self._older = state / _BEFORE

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Add one line, on the disk when this returns; OSError if it cannot be.

        `what` was done to `whom` by `by`, at a moment in seconds since 1970. EventsError for a damaged file.
        """
        with self._alone():
            self._append(
                {
                    "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
                    "what": what,
                    "whom": whom,
                    "by": by,
                    **{name: _short(value) for name, value in details.items() if value not in ("", None)},
                }
            )

    def entries(self) -> list[dict[str, Any]]:
        """Return every line, the oldest first; EventsError naming the line where the chain is broken."""
        path = self.path if self.path.exists() else self._older
        if not path.exists():
            return []
        found, before = [], FIRST
        for number, line in enumerate(_whole_lines(path.read_bytes()), 1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or entry.get("before") != before:
                raise EventsError(
                    f"{path}:{number}: the audit trail was changed here or just before; keep this file "
                    "as it is, and compare it with the last backup"
                )
            found.append(entry)
            before = _hash(line)
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # A lock of its own, and not on the file: the file may be moved here while somebody waits for it.
        make_folder(self.path.parent)
        with os.fdopen(open_private(self.path.with_name(".lock"), os.O_RDWR), "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.path.exists():
                with suppress(FileNotFoundError):
                    self._older.rename(self.path)  # whole, and the chain goes on from its last line
            yield

    def _append(self, entry: dict[str, Any]) -> None:
        handle = open_private(self.path, os.O_RDWR)
        with os.fdopen(handle, "r+b") as file:
            start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
            file.seek(start)
            last = _whole_lines(file.read())
            if start and not last:
                raise EventsError(f"{self.path}: its end is no audit trail; restore it from the last backup")
            # A line that a power cut left half is cut off: it never counted, for nobody was told that it did.
            file.truncate(start + sum(map(len, last)))
            file.seek(0, os.SEEK_END)
            whole = entry | {"before": _hash(last[-1]) if last else FIRST}
            file.write(json.dumps(whole).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _whole_lines(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def _short(value: str | float | None) -> str | float | None:
    return value[:_LONGEST] if isinstance(value, str) else value


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
