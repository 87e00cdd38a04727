"""Single values as people write them: a day, a time of day, a name, a sentence for governors.

What lives only here: how such a value must look, and what is said where it does not. Quoted or not
makes no difference to any of them.
"""

from __future__ import annotations

import re
from datetime import date, time
from functools import cache
from typing import Annotated, Any, NamedTuple
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from appliance.config.problems import unknown

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_MIN_WORDS = 4
_LAST_HOUR = 24
_SHORTEST_MINUTE = 60


class Clock(NamedTuple):
    """A time of day; 24:00 is the midnight that ends a day."""

    hour: int
    minute: int

    @property
    def time(self) -> time:
        """The time on the wall; 24:00 shows as 00:00 there."""
        return time(self.hour % _LAST_HOUR, self.minute)


def clock(text: object) -> Clock:
    """Read `12:15` (24 hours, to 24:00). Raises ValueError, readable, for what never occurs."""
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no time of day; write hours and minutes, as in 12:15")
    hour, minute = int(found[1]), int(found[2])
    if minute >= _SHORTEST_MINUTE or hour * _SHORTEST_MINUTE + minute > _LAST_HOUR * _SHORTEST_MINUTE:
        raise ValueError(f"{text} never occurs; a day runs from 00:00 to 24:00")
    return Clock(hour, minute)


def day(text: object) -> date:
    """Read `2026-09-02`. Raises ValueError, readable, for days that no calendar has."""
    if isinstance(text, date):
        return text
    found = _DAY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no date; write year, month and day, as in 2026-09-02")
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise ValueError(f"{text} never occurs; no calendar has that day") from None


def name(text: str) -> str:
    """Check that `text` is a name as files use them. Raises ValueError, readable."""
    if not _NAME.fullmatch(text.removeprefix("_")):
        raise ValueError(f"{text!r} is no name; use small letters, digits, '_' and '-', as in ks2")
    return text


def sentence(text: str) -> str:
    """Check that `text` is a sentence which somebody can read out. Raises ValueError, readable."""
    text = " ".join(text.split())
    long_enough = len(text.split()) >= _MIN_WORDS
    if not (long_enough and text[0].upper() == text[0] and text[-1] in ".!?"):
        raise ValueError(
            f"'because' must be a sentence that a governor can read: a capital letter, at least {_MIN_WORDS} "
            "words, and a full stop"
        )
    return text


def _listed(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file; pydantic judges it next
    return [value] if isinstance(value, str) else value


def clock_text(text: str) -> str:
    """Check that `text` is a time of day and return it. Raises ValueError, readable."""
    clock(text)
    return text


def zone_text(text: str) -> str:
    """Check that `text` is a time zone that this machine knows. Raises ValueError, readable."""
    zones = _zones()
    if text not in zones:
        raise ValueError(unknown("time zone", text, zones))
    return text


@cache
def _zones() -> frozenset[str]:
    # Looked up once: it means walking through a thousand files, and every edit asks several times.
    return frozenset(available_timezones())


type Day = Annotated[
    date, BeforeValidator(day), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"})
]
"""A day, written 2026-09-02."""

type Name = Annotated[
    str, AfterValidator(name), WithJsonSchema({"type": "string", "pattern": "^_?[a-z][a-z0-9_-]*$"})
]
"""The name of a profile, set, category, timetable or bell."""

type Sentence = Annotated[str, AfterValidator(sentence), Field(json_schema_extra={"pattern": "[.!?]$"})]
"""The reason for a rule, as a governor reads it."""

type ClockText = Annotated[
    str, AfterValidator(clock_text), Field(json_schema_extra={"pattern": r"^\d{1,2}:\d{2}$"})
]
"""A time of day, written 12:15."""

type Zone = Annotated[str, AfterValidator(zone_text)]
"""A time zone, written Europe/London."""

type Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One text, or a list of texts."""
