"""What may be said of the lists: sizes, ages, versions and faults; never an address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from appliance.lists.locked import FloorList, LockedFloor
from appliance.lists.table import Info
from appliance.model.known import FloorState


@dataclass(frozen=True, slots=True)
class ListStatus:
    """One list in the table. `age` is seconds since it was imported, or compiled where it ships."""

    id: str
    title: str
    categories: tuple[str, ...]
    use: str
    version: str
    licence: str
    usage: tuple[str, ...]
    entries: int
    lines: int
    used: int
    comments: int
    skipped: int
    quarantined: int
    compiled_at: float
    age: float

    @classmethod
    def of(cls, info: Info, compiled_at: float, now: float) -> Self:
        """Build the status of a list at `now`; both times are seconds since 1970."""
        since = datetime.fromisoformat(info.dated).timestamp() if info.dated else compiled_at
        return cls(
            id=info.id,
            title=info.title,
            categories=info.categories,
            use=info.use,
            version=info.version,
            licence=info.licence,
            usage=info.usage,
            entries=info.entries,
            lines=info.lines,
            used=info.used,
            comments=info.comments,
            skipped=info.skipped,
            quarantined=info.quarantined,
            compiled_at=compiled_at,
            age=max(0.0, now - since),
        )


@dataclass(frozen=True, slots=True)
class FloorStatus:
    """The statutory lists. `mode` is the weakest in force, or empty when that is unknown.

    `development` is not compliance; `compiled_at` and `age` are of the oldest list's date.
    """

    state: FloorState
    detail: str
    mode: str
    lists: tuple[FloorList, ...]
    compiled_at: float
    age: float

    @classmethod
    def of(cls, floor: LockedFloor, now: float) -> Self:
        """Build the status of the floor at `now`, seconds since 1970."""
        known, manifest = floor.state(), floor.manifest
        if manifest is None:
            return cls(known.state, known.detail, "", (), 0.0, 0.0)
        age = max(0.0, now - manifest.dated)
        return cls(known.state, known.detail, manifest.mode, manifest.lists, manifest.dated, age)


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at once. `fault` closes the gate; `warning` says what could not be taken up."""

    lists: tuple[ListStatus, ...]
    floor: FloorStatus
    help_addresses: int
    local_entries: int
    local_broken: int
    fault: str
    warning: str
    faults: int
    table_bytes: int
    table_keys: int
