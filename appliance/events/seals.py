"""Flagged events, sealed into the audit trail in batches: none can be changed, added or removed unseen.

What lives only here: which fields of an event are sealed, and how a batch is found again. Nothing waits for
it: events are on the disk when a request is answered, and a seal follows within a minute. What retention has
blanked or removed since cannot be checked any more, and is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from appliance.events import rows
from appliance.events.audit import Trail
from appliance.events.checkpoints import GATEWAY
from appliance.events.connection import to_read
from appliance.events.errors import EventsError
from appliance.events.record import Record
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.events.verify_audit import canonical, merkle_root

SEALED = (
    "reference", "time", "name", "group", "source", "confidence", "device", "client", "host", "url", "method",
    "search_term", "action", "reason", "category", "profile", "because", "rule", "list", "list_version",
    "policy_version", "floor", "severity", "status",
)  # fmt: skip
"""The fields that count, in version 1 of a leaf; another set would be another version."""

WHAT = "seal"
AGAIN = "seal-again"
"""A seal that was renewed, because some of its events were erased on purpose."""

MOST = 5_000
"""Most events under one seal."""

_QUERY = f"SELECT a.id, {rows.SELECT.removeprefix('SELECT ')} WHERE a.flagged = 1 AND a.id > ? AND a.id <= ?"
_LARGEST = 2**63 - 1
_DAY = 86_400


@dataclass(slots=True)
class Sealer:
    """Seals what is new; one process does so. `last` is the last event sealed, -1 before the first look."""

    state: Path
    last: int = -1

    def seal(self, at: float) -> int:
        """Seal every flagged event that is new and return how many; EventsError or OSError."""
        trail, count = Trail(self.state), 0
        if not (self.state / DATABASE).exists():
            return 0
        if self.last < 0:
            prepare(self.state / DATABASE)  # a worker may be making it in this moment
            newest = trail.last(WHAT)
            self.last = int(newest["last"]) if newest else 0
        while batch := _events(self.state, self.last, _LARGEST, MOST):
            root = merkle_root([leaf(record) for _, record in batch])
            first, last = batch[0][0], batch[-1][0]
            trail.add(
                WHAT, "flagged events", by=GATEWAY, at=at,
                first=first, last=last, count=len(batch), root=root, since=self.last, leaf=1,
            )  # fmt: skip
            self.last, count = last, count + len(batch)
        return count


def leaf(record: Record) -> bytes:
    """Return the bytes of one event that are sealed."""
    return canonical({name: getattr(record, name) for name in SEALED})


def check_seals(state: Path, entries: Sequence[dict[str, Any]], kept_since: float) -> tuple[int, list[str]]:
    """Compare the log with its seals; return how many seals could be compared, and what does not fit.

    `kept_since` is the moment (seconds since 1970) before which retention may have removed something.
    """
    checked, found = 0, []
    for entry in _in_force(entries):
        if _too_old(entry, kept_since):
            continue
        batch = _events(state, int(entry["since"]), int(entry["last"]), _LARGEST)
        checked += 1
        if merkle_root([leaf(record) for _, record in batch]) != entry["root"]:
            found.append(_difference(entry, batch))
    return checked, found


def renew(
    state: Path, trail: Trail, without: Container[int], kept_since: float, *, by: str, at: float
) -> int:
    """Seal again what holds events that are about to be erased, `without` them; return how many seals.

    `kept_since` is as in `check_seals`: older seals are not compared any more. EventsError where a seal does
    not fit what it seals: what was tampered with is not sealed over.
    """
    count = 0
    for entry in _in_force(trail.entries()):
        if _too_old(entry, kept_since):
            continue
        batch = _events(state, int(entry["since"]), int(entry["last"]), _LARGEST)
        left = [record for number, record in batch if number not in without]
        root = merkle_root([leaf(record) for record in left])
        if len(left) == len(batch) or root == entry["root"]:
            continue  # none of them is in it, or it was renewed before, and the erasure is done again
        if merkle_root([leaf(record) for _, record in batch]) != entry["root"]:
            raise EventsError(
                f"{_difference(entry, batch)}; nothing was erased, ask `appliance audit verify`"
            )
        trail.add(
            AGAIN, "flagged events", by=by, at=at, first=entry["first"], last=entry["last"], count=len(left),
            root=root, since=entry["since"], leaf=1, seal=entry.get("seal", entry["n"]),
        )  # fmt: skip
        count += 1
    return count


def _too_old(entry: dict[str, Any], kept_since: float) -> bool:
    # Retention may have been there; a spilled event is some hours older than its seal.
    return datetime.fromisoformat(entry["at"]).timestamp() < kept_since + _DAY


def _in_force(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the seals that count: each one, or what renewed it; its moment stays that of the first."""
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if entry["what"] == WHAT and entry.get("leaf") == 1:
            found[int(entry["n"])] = entry
        elif entry["what"] == AGAIN and (before := found.get(int(entry["seal"]))) is not None:
            found[int(entry["seal"])] = entry | {"at": before["at"], "seal": entry["seal"]}
    return list(found.values())


def _difference(entry: dict[str, Any], batch: Sequence[tuple[int, Record]]) -> str:
    count, sealed = len(batch), int(entry["count"])
    if count < sealed:
        what = f"{sealed - count} of them removed"
    elif count > sealed:
        what = f"{count - sealed} put in"
    else:
        what = "at least one of them changed"
    return (
        f"the flagged events {entry['first']} to {entry['last']} of the log, sealed {entry['at'][:19]} by "
        f"record {entry['n']}: {what} since"
    )


def _events(state: Path, after: int, upto: int, most: int) -> list[tuple[int, Record]]:
    path = state / DATABASE
    try:
        with closing(sqlite3.connect(to_read(path), uri=True, timeout=5)) as db:
            found = db.execute(f"{_QUERY} ORDER BY a.id LIMIT ?", (after, upto, most)).fetchall()
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error
    return [(int(row[0]), rows.read_row(row[1:])) for row in found]
