"""Named times: bell times, term dates, nights. Values only; policy.schedule evaluates them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from zoneinfo import ZoneInfo


class When(StrEnum):
    """On which part of the school year a timetable applies."""

    TERM = "term"
    HOLIDAY = "holiday"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Term:
    """One term or half-term; both dates are school days within it."""

    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Window:
    """A daily span of local wall time; `end` before or at `start` means it ends the next day.

    `days` are the days on which it *starts*, Monday = 0.
    """

    days: frozenset[int]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Timetable:
    """A named set of windows, in one time zone, within or outside of term."""

    name: str
    windows: tuple[Window, ...]
    when: When
    terms: tuple[Term, ...]
    zone: ZoneInfo
    words: str = ""
    """When it is, for a reader of a page: `on school days, Monday to Friday 12:15 to 13:15`."""
