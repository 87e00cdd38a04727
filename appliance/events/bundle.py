"""A sealed copy of what the log knows of one person: metadata alone, and hashes that show any change.

What lives only here: the form of that copy. It holds what the log holds and nothing more: no content was
ever kept, and of a statutory list's hit no address (ILL-1).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.events.queries import LIMIT, open_reader
from appliance.events.record import to_line

FOLDER = "held"
RECORDS, MANIFEST = "records.jsonl", "manifest.json"
_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Where a sealed copy lies, how many records it holds, and the SHA-256 of its manifest."""

    folder: Path
    records: int
    digest: str


async def seal(state: Path, name: str, at: float) -> Bundle:
    """Write every record of `name` into a folder of its own below `state`, and return what it is.

    The manifest names the SHA-256 of the records; its own is in the Bundle, to be kept elsewhere. EventsError
    if the log cannot be read, OSError if the copy cannot be written.
    """
    async with open_reader(state) as log:
        found = await log.accesses(person=name, limit=LIMIT)
    moment = datetime.fromtimestamp(at, UTC)
    folder = state / FOLDER / f"{_UNFIT.sub('_', name)[:60]}-{moment:%Y%m%dT%H%M%S%f}"
    folder.mkdir(mode=0o700, parents=True)
    lines = "".join(f"{to_line(record)}\n" for record in found).encode()
    _write(folder / RECORDS, lines)
    manifest = {
        "person": name,
        "made": moment.isoformat(),
        "records": len(found),
        "complete": len(found) < LIMIT,
        "first": found[0].at.isoformat() if found else None,
        "last": found[-1].at.isoformat() if found else None,
        "sha256": {RECORDS: hashlib.sha256(lines).hexdigest()},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
    _write(folder / MANIFEST, text)
    return Bundle(folder, len(found), hashlib.sha256(text).hexdigest())


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
