"""The audit trail as it is for one database: which of its records are about steps in it.

What lives only here: that mark, and the record which says that a step was not carried out. The record of a
step is on the disk before the step is; where the database could then not be written, both stay in the trail,
and a governor sees which of them counts.
"""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Callable, Iterator
from typing import Any

from appliance.events.audit import Trail
from appliance.events.verify_audit import NOT_CARRIED, canonical

_BY = "the gateway"


class Carried:
    """A trail, and the name of the database whose steps are noted; `always` is said with each of them."""

    def __init__(
        self, trail: Trail, store: str, clock: Callable[[], float] = time.time, **always: str
    ) -> None:
        self._trail = trail
        self._store = store
        self._clock = clock
        self._always = always
        self._mark = b'"store":' + canonical(store)  # no text that somebody typed: its quotes are escaped

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Note a step within the transaction that makes it; OSError, EventsError."""
        self.say(what, whom, by=by, at=at, store=self._store, **details)

    def say(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        """Note what is no step in the database, such as a look; OSError, EventsError."""
        self._trail.add(what, whom, by=by, at=at, **self._always, **details)

    def newest(self) -> int:
        """Return the number of the newest record about this database; 0 for none. OSError."""
        return next((int(record["n"]) for record in self._backwards()), 0)

    def not_carried(self, after: int) -> None:
        """Note of each record after that number that its step was not carried out, once; OSError."""
        left, told = list[dict[str, Any]](), set[int]()
        for record in self._backwards():
            if record["n"] <= after:
                break
            if record["what"] == NOT_CARRIED:
                told.add(int(record["record"]))
            elif record["n"] not in told:
                left.append(record)
        for record in reversed(left):
            details = {"record": float(record["n"]), "was": record["what"], "store": self._store}
            self._trail.add(NOT_CARRIED, record["whom"], by=_BY, at=self._clock(), **details)

    def _backwards(self) -> Iterator[dict[str, Any]]:
        # Found from the end without reading the whole: steps are asked about when they are made.
        try:
            with (
                self._trail.path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                place = data.rfind(self._mark)
                while place >= 0:
                    start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
                    record = _record(data[start:end]) if end >= 0 else {}
                    if record.get("store") == self._store and isinstance(record.get("n"), int):
                        yield record
                    place = data.rfind(self._mark, 0, start)
        except (FileNotFoundError, ValueError):
            return  # none yet, or an empty file


def _record(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}  # a broken line: verifying tells of that
    return found if isinstance(found, dict) else {}
