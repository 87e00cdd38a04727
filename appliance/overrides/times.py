"""From when until when, as people at a school say it.

What lives only here: the way from a time on the school's wall to a moment. An hour that the clocks skip is
refused; of an hour that they repeat the first is meant, so that nothing stays open an hour too long.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from appliance.overrides.names import OverrideError

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def moment(text: str, zone: ZoneInfo, now: float) -> float:
    """Return `10:50` (today), `2026-11-23T10:50` or a time with an offset as seconds since 1970.

    `now` says which day is today at school. OverrideError for what is no time, or never occurs.
    """
    if found := _CLOCK.fullmatch(text.strip()):
        today = datetime.fromtimestamp(now, zone)
        return _at_school(
            datetime(today.year, today.month, today.day, int(found[1]), int(found[2])),  # noqa: DTZ001 - the zone comes next
            zone,
        )
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        read = None
    if read is None or not ("T" in text or " " in text.strip()):
        raise OverrideError(f"{text!a} is no time; write 10:50, or 2026-11-23T10:50") from None
    try:
        return read.timestamp() if read.tzinfo else _at_school(read, zone)
    except (OverflowError, ValueError):
        raise OverrideError(f"{text!a} is a time that no clock here will show") from None


def at_school(at: float | None, zone: ZoneInfo) -> str:
    """Return a moment as the school's clock shows it, or an empty text."""
    return "" if at is None else f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"


def _at_school(wall: datetime, zone: ZoneInfo) -> float:
    there = wall.replace(tzinfo=zone, fold=0)
    back = there.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None) != wall:
        raise OverrideError(f"{wall:%Y-%m-%d %H:%M} does not exist: the clocks go forward over it")
    return there.timestamp()
