"""Whether a moment is within a timetable.

What lives only here: the reading of named times. A school thinks in wall-clock time, so a moment is
first turned into the local time of the timetable's zone; the hour that the clocks skip in spring
never happens, and the hour that they repeat in autumn counts both times (S-36).
Whatever cannot be told (a moment without a zone, a holiday without terms) is not within.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from appliance.model.timetable import Timetable, When, Window

_DAY = timedelta(days=1)


def within(timetable: Timetable, now: datetime) -> bool:
    """Return whether `now` (aware, any zone) lies in one of the timetable's windows.

    The start belongs to a window, its end does not. A window that runs past midnight belongs to the
    day on which it starts: to that weekday, and to the term or holiday which that day is in.
    """
    if now.tzinfo is None:
        return False
    try:
        local = now.astimezone(timetable.zone)
        return any(_in_window(timetable, window, local.date(), local.time()) for window in timetable.windows)
    except (OverflowError, ValueError):  # the first or last day of the calendar has no neighbour
        return False


def _in_window(timetable: Timetable, window: Window, day: date, clock: time) -> bool:
    if window.start < window.end:
        return window.start <= clock < window.end and _starts(timetable, window, day)
    if clock >= window.start and _starts(timetable, window, day):
        return True
    return clock < window.end and _starts(timetable, window, day - _DAY)


def _starts(timetable: Timetable, window: Window, day: date) -> bool:
    return day.weekday() in window.days and _on_day(timetable, day)


def _on_day(timetable: Timetable, day: date) -> bool:
    if timetable.when is When.ALWAYS:
        return True
    if not timetable.terms:
        return False
    in_term = any(term.first <= day <= term.last for term in timetable.terms)
    return in_term is (timetable.when is When.TERM)
