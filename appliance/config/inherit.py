"""`extends`: a trust's base, varied by a school, rule by rule.

What lives only here: which rule a profile ends up with, and what a child may not change. The floor
cannot be turned off, and what a parent rates illegal stays illegal (S-79, DFE-F2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.config.document import Document, Path
from appliance.config.problems import Problem, unknown
from appliance.config.sets import SchoolSet
from appliance.config.shapes import ProfileFile, RuleShape
from appliance.model.category import Category
from appliance.model.profile import Audience, Profile, Rating, Rule
from appliance.model.timetable import Timetable

type Key = tuple[str, str]
"""A set and a profile in it."""


@dataclass(frozen=True, slots=True)
class Written:
    """One profile file as it was read. `shown` is its name in decisions; `school` its set, if readable."""

    set_id: str
    document: Document
    shape: ProfileFile
    shown: str
    school: SchoolSet | None

    @property
    def key(self) -> Key:
        """What others name it by."""
        return (self.set_id, self.shape.profile)


class Family:
    """All profile files together. What is wrong between them is added to `problems`."""

    def __init__(
        self,
        written: Iterable[Written],
        categories: Mapping[str, Category],
        broken: Collection[Key],
        problems: list[Problem],
    ) -> None:
        self.categories = categories
        self._broken = broken  # files whose own problems are known: what follows from those is not repeated
        self._problems = problems
        self._members: dict[Key, Written] = {}
        for member in written:
            self._members.setdefault(member.key, member)
        self._lines = {key: self._line(member) for key, member in self._members.items()}
        for member in self._members.values():
            problems += self._rule_problems(member)

    def members(self, set_id: str) -> list[Written]:
        """Return the profiles of a set, in the order of their files."""
        return [member for (own, _), member in self._members.items() if own == set_id]

    def line(self, member: Written) -> list[Written]:
        """Return the profile and all that it extends, nearest first."""
        return self._lines[member.key]

    def whole(self, member: Written) -> bool:
        """Return whether everything that the profile extends could be read."""
        line = self._lines[member.key]
        return line[-1].shape.extends is None and not any(one.key in self._broken for one in line)

    def note(self, problem: Problem) -> None:
        """Add a problem."""
        self._problems.append(problem)

    def _line(self, member: Written) -> list[Written]:
        line = [member]
        while (parent := self._parent(line[-1], report=len(line) == 1)) is not None:
            if parent in line:
                if parent is member:  # said once in each file of the circle, not in those that lead to it
                    names = " extends ".join("/".join(one.key) for one in (*line, parent))
                    self.note(member.document.problem(("extends",), f"goes round in a circle: {names}"))
                break
            line.append(parent)
        return line

    def _parent(self, member: Written, *, report: bool) -> Written | None:
        name = member.shape.extends
        if name is None:
            return None
        own, slash, other = name.partition("/")
        key = (own, other) if slash else (member.set_id, own)
        if key not in self._members and key not in self._broken and report:
            others = [other for other in self._members if other != member.key]
            known = [one if of == member.set_id else f"{of}/{one}" for of, one in others]
            self.note(member.document.problem(("extends",), unknown("profile", name, known)))
        return self._members.get(key)

    def _rule_problems(self, member: Written) -> Iterator[Problem]:
        for name, shape in member.shape.rules.items():
            path: Path = ("rules", name)
            if name not in self.categories and self.categories:
                yield member.document.problem(path, unknown("category", name, self.categories), key=True)
            yield from self._floor_problems(member, name, shape)
            known = self._timetables(member)
            if known is not None and shape.timetable is not None and shape.timetable not in known:
                path = (*path, "timetable")
                yield member.document.problem(path, unknown("timetable", shape.timetable, known))

    def _floor_problems(self, member: Written, name: str, shape: RuleShape) -> Iterator[Problem]:
        if shape.rating is Rating.ILLEGAL:
            return
        path: Path = ("rules", name, "rating")
        category = self.categories.get(name)
        if category is not None and category.floor:
            message = f"the floor cannot be turned off: {name!r} may only be rated {Rating.ILLEGAL}"
            yield member.document.problem(path, message)
            return
        for parent in self._lines[member.key][1:]:
            rule = parent.shape.rules.get(name)
            if rule is not None and rule.rating is Rating.ILLEGAL:
                message = f"{'/'.join(parent.key)} rates {name!r} {Rating.ILLEGAL}; that may not be loosened"
                yield member.document.problem(path, message)
                return

    def _timetables(self, member: Written) -> set[str] | None:
        line = self._lines[member.key]
        if any(one.school is None for one in line):
            return None  # a set.yaml that could not be read: nobody knows what is in it
        return {name for one in line if one.school is not None for name in one.school.timetables}


def timetable(line: Iterable[Written], name: str) -> Timetable | None:
    """Return the timetable called `name`: the set's own, else that of the nearest set it extends."""
    for member in line:
        if member.school is not None and name in member.school.timetables:
            return member.school.timetables[name]
    return None


def resolve(family: Family, set_id: str) -> dict[str, Profile]:
    """Return the finished profiles of a set by id, without the abstract ones."""
    profiles = (_profile(family, member) for member in family.members(set_id) if not member.shape.abstract)
    return {profile.id: profile for profile in profiles if profile is not None}


def _profile(family: Family, member: Written) -> Profile | None:
    line = family.line(member)
    if not family.whole(member):
        return None
    audience = _audience(line)
    unknown_from = next((one for one in line if one.shape.unknown is not None), None)
    if audience is None:
        family.note(
            member.document.problem((), "'audience' is missing, and nothing that it extends gives it")
        )
    if unknown_from is None or unknown_from.shape.unknown is None:
        family.note(member.document.problem((), "'unknown' is missing, and nothing that it extends gives it"))
        return None
    return Profile(
        id=member.shape.profile,
        title=member.shape.title,
        audience=audience or Audience.ADULT,
        allow_unknown=unknown_from.shape.unknown.action == "allow",
        unknown_because=unknown_from.shape.unknown.because,
        unknown_where=_where(unknown_from, ("unknown",)),
        rules={name: _rule(line, *found) for name, found in _rules(line).items()},
        **_inspect(line),
    )


def _inspect(line: Iterable[Written]) -> dict[str, Any]:
    for member in line:
        if member.shape.inspect is not None:
            because = f"The profile {member.shape.profile!r} says so of sites of which nothing else is said."
            where = _where(member, ("inspect",))
            return {"inspect": member.shape.inspect, "inspect_because": because, "inspect_where": where}
    return {}


def _audience(line: Iterable[Written]) -> Audience | None:
    return next((one.shape.audience for one in line if one.shape.audience is not None), None)


def _rules(line: Iterable[Written]) -> dict[str, tuple[str, RuleShape, Written]]:
    rules: dict[str, tuple[str, RuleShape, Written]] = {}
    for member in line:
        for name, shape in member.shape.rules.items():
            rules.setdefault(name, (name, shape, member))
    return rules


def _rule(line: Iterable[Written], name: str, shape: RuleShape, member: Written) -> Rule:
    return Rule(
        category=name,
        rating=shape.rating,
        because=shape.reason,
        where=_where(member, ("rules", name)),
        timetable=timetable(line, shape.timetable) if shape.timetable else None,
        users=frozenset(shape.users),
        watch=shape.watch,
        inspect=shape.inspect,
    )


def _where(member: Written, path: Path) -> str:
    return f"{member.shown}:{member.document.keys[path].line}"
