"""profiles/<set>/set.yaml: terms, bells and timetables as model values.

What lives only here: whether named times can ever occur. A window of no length, a term that ends
before it begins, or a term-time timetable in a school without terms would leave a rule that looks
open and never is (or the other way round), so each is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from zoneinfo import ZoneInfo

from appliance.config.document import Document, Path
from appliance.config.fields import Clock, clock
from appliance.config.problems import Problem, ProblemsError, unknown
from appliance.config.shapes import SetFile, WindowShape
from appliance.config.typed import validate, without_problems
from appliance.model.timetable import Term, Timetable, When, Window

_DAYS = {
    name: frozenset({number}) for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
}
_DAYS |= {"weekdays": frozenset(range(5)), "every_day": frozenset(range(7))}

_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class SchoolSet:
    """What `set.yaml` says, with its timetables ready to use."""

    document: Document
    shape: SetFile
    timetables: Mapping[str, Timetable]


def read_set(document: Document, folder: str) -> SchoolSet:
    """Return the set described by `set.yaml` in `folder`. Raises ProblemsError with all problems."""
    try:
        shape = validate(document, SetFile)
    except ProblemsError as error:
        rest = without_problems(document, SetFile)
        more = (
            [] if rest is None else [*_name_problems(document, rest, folder), *_timetables(document, rest)[1]]
        )
        raise ProblemsError([*error.problems, *more]) from None
    windows, problems = _timetables(document, shape)
    problems += _name_problems(document, shape, folder)
    problems += _term_problems(document, shape)
    problems += _when_problems(document, shape)
    if problems:
        raise ProblemsError(problems)
    terms = tuple(Term(term.name, term.first, term.last) for term in shape.terms)
    zone = ZoneInfo(shape.timezone)
    timetables = {
        name: Timetable(
            name, windows[name], timetable.when, terms, zone, in_words(windows[name], timetable.when)
        )
        for name, timetable in shape.timetables.items()
    }
    return SchoolSet(document, shape, timetables)


def in_words(windows: tuple[Window, ...], when: When) -> str:
    """Return when a timetable applies, for whoever reads that a page is closed now."""
    spans = [
        f"{_days_in_words(window.days)} {window.start:%H:%M} to {_end_in_words(window)}" for window in windows
    ]
    year = {When.TERM: "on school days, ", When.HOLIDAY: "in the holidays, ", When.ALWAYS: ""}[when]
    return year + " and ".join(filter(None, (", ".join(spans[:-1]), *spans[-1:])))


def _days_in_words(days: frozenset[int]) -> str:
    if days == _DAYS["every_day"]:
        return "every day"
    if days == _DAYS["weekdays"]:
        return "Monday to Friday"
    return ", ".join(_DAY_NAMES[day] for day in sorted(days))


def _end_in_words(window: Window) -> str:
    if window.end == time(0):
        return "midnight"
    return f"{window.end:%H:%M}" + (" of the next day" if window.end <= window.start else "")


def _name_problems(document: Document, shape: SetFile, folder: str) -> Iterator[Problem]:
    if shape.set != folder:
        yield document.problem(("set",), f"the set is named {shape.set!r}, but its folder {folder!r}")


def _term_problems(document: Document, shape: SetFile) -> Iterator[Problem]:
    earlier: list[tuple[int, Term]] = []
    for index, term in enumerate(shape.terms):
        path = ("terms", index)
        for _, other in earlier:
            if term.name == other.name:
                yield document.problem((*path, "name"), f"a second term is named {term.name!r}")
            if term.first <= other.last and other.first <= term.last:
                yield document.problem(
                    (*path, "first"), f"the terms {other.name!r} and {term.name!r} overlap"
                )
        earlier.append((index, Term(term.name, term.first, term.last)))


def _when_problems(document: Document, shape: SetFile) -> Iterator[Problem]:
    if shape.terms:
        return
    for name, timetable in shape.timetables.items():
        if timetable.when is not When.ALWAYS:
            path: Path = ("timetables", name, "when")
            what = "never" if timetable.when is When.TERM else "always"
            message = (
                f"{name!r} is for {timetable.when} time, but this set has no 'terms': it would {what} apply"
            )
            yield document.problem(path, message)


def _timetables(document: Document, shape: SetFile) -> tuple[dict[str, tuple[Window, ...]], list[Problem]]:
    found: dict[str, tuple[Window, ...]] = {}
    problems: list[Problem] = []
    bells = {name: clock(text) for name, text in shape.bells.items()}
    for name, timetable in shape.timetables.items():
        windows = []
        for index, window in enumerate(timetable.windows):
            try:
                windows.append(_window(document, ("timetables", name, "windows", index), window, bells))
            except ProblemsError as error:
                problems += error.problems
        found[name] = tuple(windows)
    return found, problems


def _window(document: Document, path: Path, shape: WindowShape, bells: Mapping[str, Clock]) -> Window:
    start = _moment(document, (*path, "from"), shape.start, bells)
    end = _moment(document, (*path, "to"), shape.end, bells)
    if start == end:  # by way of bells; two times that are written out are compared while reading
        message = f"{shape.start!r} and {shape.end!r} are the same time, and so this never occurs"
        raise ProblemsError([document.problem((*path, "to"), message)])
    days = frozenset[int]().union(*(_DAYS[name] for name in shape.days))
    return Window(days, start.time, end.time)


def _moment(document: Document, path: Path, text: str, bells: Mapping[str, Clock]) -> Clock:
    if text in bells:
        return bells[text]
    if text[:1].isdigit():
        return clock(text)
    if ("bells", text) in document.values:
        raise ProblemsError([])  # there is such a bell, and what is wrong with it is said there
    raise ProblemsError([document.problem(path, unknown("bell", text, bells) + "; or a time such as 12:15")])
