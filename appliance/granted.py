"""What becomes of an override for whoever granted it, in order: theirs, why, noted, shown.

What lives only here: that order, and whose an override is. The report of what children visited is shown to
whoever granted it and to the safeguarding lead, to nobody else, and after its purpose is in the audit. What
is not theirs and what is not there are told in the same words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.identity.names import key
from appliance.model.need import Need
from appliance.overrides.names import NoOverrideError, OverrideError, purpose_of
from appliance.overrides.report import Visit
from appliance.overrides.reports import Kept, Reports
from appliance.overrides.store import Overrides
from appliance.overrides.written import Override, Step

JUST_ENDED = 300.0
"""Seconds after its end in which a report that is not there yet is nothing to wonder about."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. `since` is when their account was made: what ended before was somebody else's of that name.

    `everybody` says that they may see what others have granted, as the safeguarding lead may.
    """

    name: str
    since: float = 0.0
    everybody: bool = False

    def owns(self, override: Override) -> bool:
        """Return whether they have granted it."""
        theirs = bool(override.granted_by) and key(override.granted_by) == key(self.name)
        return theirs and (override.ended_at is None or override.ended_at >= self.since)


@dataclass(frozen=True, slots=True)
class Standing:
    """One override as whoever granted it sees it, without what was visited; `kept` is its report."""

    override: Override
    kept: Kept | None
    steps: Sequence[Step] = ()

    @property
    def readable(self) -> bool:
        """Whether there is a report to be read."""
        return self.kept is not None and self.kept.made > 0

    def waits(self, now: float) -> str:
        """Return why there is no report, in a sentence; an empty text where there is one."""
        if self.readable:
            return ""
        if not self.override.state.over:
            return "The report of what was visited is made when it has ended."
        if self.kept is not None:
            return "It ended before reports were kept: there is none."
        if now - (self.override.ended_at or 0.0) < JUST_ENDED:
            return "The report is being made: look again in a minute."
        return "The report could not be made yet; it is tried again by itself. Please tell your technician."


@dataclass(frozen=True, slots=True)
class Report:
    """What was visited under an override, and which sites came as a part of its pages."""

    standing: Standing
    visits: Sequence[Visit]
    needs: Sequence[Need]


class Granted:
    """The overrides of one school, for those who granted them. Errors in words, OSError."""

    def __init__(self, store: Overrides, reports: Reports, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._reports = reports
        self._clock = clock

    def any(self, name: str, since: float) -> bool:
        """Return whether somebody has granted something that is still kept."""
        return bool(self.all(Reader(name, since)))

    def all(self, reader: Reader) -> list[Standing]:
        """Return the newest that are theirs, the newest first."""
        wanted = key(reader.name)
        found = self._store.granted(lambda name: reader.everybody or key(name) == wanted)
        found = [one for one in found if reader.everybody or reader.owns(one)]
        kept = self._reports.standing({one.number for one in found})
        return [Standing(one, kept.get(one.number)) for one in found]

    def find(self, reader: Reader, number: int) -> Standing:
        """Return one with its steps; NoOverrideError for every number that is not theirs."""
        override = self._store.get(number)
        if not override.granted_by or not (reader.everybody or reader.owns(override)):
            raise NoOverrideError(f"override {number}")
        kept = self._reports.standing({number}).get(number)
        return Standing(override, kept, self._store.steps(number))

    def look(self, reader: Reader, number: int, purpose: str, *, address: str) -> Report:
        """Return the report; that it was looked at, and why, is in the audit before."""
        # 1 Is it theirs? 2 Is there a report, and a purpose? Why here: what shows nothing is no look.
        standing, words = self.find(reader, number), purpose_of(purpose)
        if not standing.readable:
            raise OverrideError(standing.waits(self._clock()))
        # 3 In the audit. Why before it is read: where that fails, nobody has seen anything.
        self._reports.look(number, by=reader.name, purpose=words, now=self._clock(), address=address)
        return Report(standing, self._reports.visits(number), self._store.needs(number))
