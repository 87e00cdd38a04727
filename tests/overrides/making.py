"""A store of overrides in a folder of its own, with an audit trail in memory and clocks that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.model.grant import What, Whom
from appliance.overrides.database import Database
from appliance.overrides.store import Overrides
from appliance.overrides.written import Wish

NOW = 1_795_600_800.0  # 2026-11-25, 10:00 in school
HOUR = 3600.0


@dataclass
class MemoryTrail:
    """An audit trail in memory; `broken` is raised instead. `untrue` are records of what was rolled back."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    broken: Exception | None = None
    steps: int = 0
    untrue: list[int] = field(default_factory=list)

    def add(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        self.say(what, whom, by=by, at=at, **details)
        self.steps = len(self.kept)

    def say(self, what: str, whom: str, *, by: str, at: float, **details: str | float | None) -> None:
        if self.broken is not None:
            raise self.broken
        self.kept.append({"what": what, "whom": whom, "by": by, "at": at, **details})

    def newest(self) -> int:
        return self.steps

    def not_carried(self, after: int) -> None:
        self.untrue.extend(range(after + 1, self.steps + 1))


@dataclass
class Made:
    """The room over one folder."""

    database: Database
    trail: MemoryTrail
    store: Overrides

    def granted(self, starts: float = NOW, ends: float = NOW + HOUR, now: float = NOW) -> int:
        """Grant something and return its number."""
        return self.store.request_and_grant(wish(starts, ends), "teacher", by="mrs.jones", now=now).number


def make(state: Path) -> Made:
    """Make a database with nothing in it."""
    database, trail = Database(state), MemoryTrail()
    database.prepare()
    return Made(database, trail, Overrides(database, trail))


def wish(starts: float = NOW, ends: float = NOW + HOUR, host: str = "bets.example") -> Wish:
    """Return a wish for the pupils of Key Stage 2."""
    what, whom = What(frozenset({host})), Whom(groups=frozenset({"ks2"}))
    return Wish(what, whom, "We compare two sites.", "Year 5 maths", starts, ends)
