"""What happened to each feed: when it was last tried, what came of it, and when it is due again.

What lives only here: the files in STATE/lists/updates, one a feed. They are what `lists status`, the
metrics and the updater read; they hold no entry and no address but the feed's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.lists.paths import Paths, replacing

_HOUR, _MINUTE = 3600.0, 60.0
_FIRST_RETRY = 15 * _MINUTE
_KEPT_REFUSALS = 20
_LAST = 253_000_000_000.0


type Seconds = Annotated[float, Field(ge=0, le=_LAST)]
"""Seconds since 1970, as far as a calendar goes."""


class Record(BaseModel):
    """One feed's history. Times are seconds since 1970, 0 for never; `problem` is empty when all is well.

    `lists` are the lists that it feeds, `changed` those which the last update changed; `refused` are
    SHA-256 of editions that a person has rolled back.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    tried_at: Seconds = 0.0
    succeeded_at: Seconds = 0.0
    changed_at: Seconds = 0.0
    next_at: Seconds = 0.0
    failures: int = 0
    failing: int = 0
    problem: str = ""
    etag: str = ""
    modified: str = ""
    sha256: str = ""
    lists: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def due(self, now: float) -> bool:
        """Tell whether it is time to fetch; a clock that was set back does not put it off for ever."""
        return now >= self.next_at or now < self.tried_at - _HOUR


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a feed is fetched; `dice` gives numbers from 0 to 1."""

    refresh_hours: float
    jitter_minutes: float
    dice: Callable[[], float] = random.random

    def after_success(self, now: float) -> float:
        """Return when the feed is due again."""
        return now + self.refresh_hours * _HOUR + self._jitter()

    def after_failure(self, now: float, failing: int) -> float:
        """Return when to try again: soon at first, then ever later, never later than usual."""
        wait = min(_FIRST_RETRY * 2.0 ** min(failing, 10), self.refresh_hours * _HOUR)
        return now + wait + min(self._jitter(), wait)

    def _jitter(self) -> float:
        jitter: float = self.dice() * self.jitter_minutes * _MINUTE
        return jitter


class Ledger:
    """All feeds' records."""

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.updates

    def read(self, feed: str) -> Record:
        """Return a feed's record; an empty one where there is none, or it is damaged."""
        return _read(self._path(feed), feed)

    def all(self) -> tuple[Record, ...]:
        """Return every record, by id."""
        return tuple(_read(path, path.stem) for path in sorted(self._folder.glob("*.json")))

    def failed(self, feed: str, problem: str, now: float, rhythm: Rhythm) -> Record:
        """Note that an update failed; what is in force stays."""
        old = self.read(feed)
        change = {
            "tried_at": now,
            "problem": problem,
            "failures": old.failures + 1,
            "failing": old.failing + 1,
            "next_at": rhythm.after_failure(now, old.failing),
        }
        return self._write(old.model_copy(update=change))

    def succeeded(self, feed: str, now: float, rhythm: Rhythm, **change: object) -> Record:
        """Note that the newest data is in force; `change` are further fields of the record."""
        well = {"tried_at": now, "succeeded_at": now, "problem": "", "failing": 0}
        well |= {"next_at": rhythm.after_success(now)}
        return self._write(self.read(feed).model_copy(update=well | change))

    def rolled_back(self, feed: str) -> Record:
        """Note that the edition in force is not wanted, so that it is not taken again."""
        old = self.read(feed)
        if not old.sha256:
            return old
        refused = (*(known for known in old.refused if known != old.sha256), old.sha256)[-_KEPT_REFUSALS:]
        # etag and modified stay: the server's same edition is then not even fetched again.
        return self._write(old.model_copy(update={"refused": refused}))

    def saved(self) -> dict[str, str]:
        """Return what `restore` needs to know of every feed again what is known now."""
        return {record.id: record.model_dump_json() for record in self.all()}

    def restore(self, saved: dict[str, str]) -> None:
        """Go back to what was known of these feeds."""
        for text in saved.values():
            self._write(Record.model_validate_json(text))

    def _write(self, record: Record) -> Record:
        with replacing(self._path(record.id)) as file:
            file.write(record.model_dump_json(indent=1).encode() + b"\n")
        return record

    def _path(self, feed: str) -> Path:
        return self._folder / f"{feed}.json"


def _read(path: Path, feed: str) -> Record:
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Record(id=feed)
