"""The audit trail: who did what to whom, in a file where nothing can be changed unseen.

What lives only here: one JSON object a line, each with the SHA-256 of the line before it. A line that was
altered, left out or put in breaks the chain, and `check_trail` says where. It holds no password.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.identity.database import FOLDER
from appliance.identity.names import IdentityError
from appliance.identity.owners import make_folder, open_private

FILE = "audit.jsonl"
FIRST = "0" * 64
"""What stands for the line before the first."""

_LONGEST = 1_000  # characters of one detail
_TAIL = 65_536  # bytes in which the last line is found: no line is longer


class Trail:
    """The audit trail in the folder `state`."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / FILE

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Add one line, on the disk when this returns; OSError if it cannot be.

        `what` was done to `whom` by `by`, at a moment in seconds since 1970.
        """
        make_folder(self.path.parent)
        handle = open_private(self.path, os.O_RDWR)
        with os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
            file.seek(start)
            last = _whole_lines(file.read())
            # A line that a power cut left half is cut off: it never counted, for nobody was told that it did.
            file.truncate(start + sum(map(len, last)))
            file.seek(0, os.SEEK_END)
            entry: dict[str, Any] = {
                "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
                "what": what,
                "whom": whom,
                "by": by,
                **{name: _short(value) for name, value in details.items() if value not in ("", None)},
                "before": _hash(last[-1]) if last else FIRST,
            }
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[dict[str, Any]]:
        """Return every line, the oldest first; IdentityError naming the line where the chain is broken."""
        if not self.path.exists():
            return []
        found, before = [], FIRST
        for number, line in enumerate(_whole_lines(self.path.read_bytes()), 1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or entry.get("before") != before:
                raise IdentityError(
                    f"{self.path}:{number}: the audit trail was changed here or just before; keep this file "
                    "as it is, and compare it with the last backup"
                )
            found.append(entry)
            before = _hash(line)
        return found


def _whole_lines(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def _short(value: str | float | None) -> str | float | None:
    return value[:_LONGEST] if isinstance(value, str) else value


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
