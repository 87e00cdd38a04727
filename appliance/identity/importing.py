"""People from a school's information-management system: a YAML or CSV file becomes accounts.

What lives only here: reading such a file, with every problem at its line, and working out what is new and
what has changed. Nothing is imported from a file in which anything is wrong: half a class is no class.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field

from appliance.config.problems import Problem, ProblemsError, unknown
from appliance.config.typed import Section, open_document, read_bytes, validate
from appliance.identity.accounts import Account
from appliance.identity.names import IdentityError, key, neat
from appliance.identity.passwords import PICTURES, first_password, of_pictures
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.model.person import Kind
from appliance.model.secret import Secret

COLUMNS = ("name", "group", "kind", "password", "expires")
"""What a CSV file may say of a person; `name` and `group` it must."""


class PersonEntry(Section):
    """One person of a YAML file."""

    name: str = Field(min_length=1, description="The name to sign in with, and as the log shows it.")
    group: str = Field(description="The profile that counts for this person.")
    kind: Kind = Field(Kind.INDIVIDUAL, description="What sort of log-in this is.")
    password: str = Field("", description="A first password; one is made up where none is given.")
    pictures: tuple[str, ...] = Field((), description="A picture password instead, in its order.")
    must_change: bool | None = Field(None, description="Whether to ask for a new password; by kind if empty.")
    expires: str = Field("", description="The last day: 2026-12-18.")


class PeopleFile(Section):
    """A YAML file of people."""

    people: Annotated[tuple[PersonEntry, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read: column names by ours, and groups by what the file calls them."""

    columns: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would do. `passwords` are first passwords or pictures that the file gives, by key."""

    new: tuple[Account, ...]
    changed: tuple[Account, ...]
    same: int
    passwords: Mapping[str, str | tuple[str, ...]]


def read_people(path: Path, reading: Reading, groups: Collection[str]) -> list[tuple[PersonEntry, Problem]]:
    """Return every person of a file, each with its place; ProblemsError with all that is wrong."""
    entries = list(_of_csv(path, reading) if path.suffix.lower() == ".csv" else _of_yaml(path))
    problems: list[Problem] = []
    places: dict[str, Problem] = {}
    found = []
    for entry, place in entries:
        group = reading.groups.get(entry.group, entry.group)
        person = entry.model_copy(update={"group": group})
        problems += [replace(place, message=text) for text in _wrong(person, groups)]
        if (first := places.setdefault(key(entry.name), place)) is not place:
            text = f"{entry.name!a} stands at line {first.line} already; names must differ"
            problems.append(replace(place, message=text))
        found.append((person, place))
    if problems:
        raise ProblemsError(problems)
    return found


def plan(found: list[tuple[PersonEntry, Problem]], existing: Collection[Account], now: float) -> Plan:
    """Work out what importing these people changes; whoever the file does not name stays as they are."""
    there = {account.key: account for account in existing}
    new, changed, same = [], [], 0
    passwords: dict[str, str | tuple[str, ...]] = {}
    for entry, _ in found:
        expires = day_end(entry.expires) if entry.expires else None
        before = there.get(key(entry.name))
        if before is None:
            new.append(_account(entry, expires, now))
            passwords[key(entry.name)] = entry.pictures or entry.password
            continue
        after = replace(before, group=entry.group, kind=entry.kind, expires=expires or before.expires)
        if after == before:
            same += 1
        else:
            changed.append(after)
    return Plan(tuple(new), tuple(changed), same, passwords)


def day_end(text: str) -> float:
    """Return the end of a day such as 2026-12-18, or the moment 2026-12-18T15:30, as seconds since 1970."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise IdentityError(f"{text!r} is not a day; write it as 2026-12-18, or 2026-12-18T15:30") from None
    if "T" not in text and ":" not in text:
        moment = moment.replace(hour=23, minute=59, second=59)
    return (moment if moment.tzinfo else moment.replace(tzinfo=SCHOOL_ZONE)).timestamp()


def _account(entry: PersonEntry, expires: float | None, now: float) -> Account:
    # A class and the early years keep what is on their cards: nobody is asked for a new one there.
    must = not entry.kind.shared if entry.must_change is None else entry.must_change
    pictures = bool(entry.pictures)
    return Account(neat(entry.name), entry.kind, entry.group, "", pictures, must, now, expires, created=now)


def _wrong(entry: PersonEntry, groups: Collection[str]) -> Iterator[str]:
    try:
        neat(entry.name)
        if entry.expires:
            day_end(entry.expires)
    except IdentityError as error:
        yield str(error)
    if entry.group not in groups:
        yield unknown("group", entry.group, groups)
    if entry.pictures and entry.password:
        yield "give a password or pictures, not both"
    yield from (unknown("picture", name, PICTURES) for name in entry.pictures if name not in PICTURES)


def _of_yaml(path: Path) -> Iterator[tuple[PersonEntry, Problem]]:
    document = open_document(path)
    for index, entry in enumerate(validate(document, PeopleFile).people):
        yield entry, document.problem(("people", index), "")


def _of_csv(path: Path, reading: Reading) -> Iterator[tuple[PersonEntry, Problem]]:
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")  # what older systems export
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        columns = _columns(path, reading, rows.fieldnames or [])
        for row in rows:
            values = {ours: (row.get(theirs) or "").strip() for ours, theirs in columns.items()}
            if any(values.values()):
                yield _entry(values, Problem(str(path), rows.line_num, 1, ""))
    except csv.Error as error:
        raise ProblemsError([Problem(str(path), rows.line_num, 1, f"is no CSV: {error}")]) from None


def _columns(path: Path, reading: Reading, heads: Collection[str]) -> dict[str, str]:
    wanted = {name: reading.columns.get(name, name) for name in COLUMNS}
    by_key = {key(head): head for head in heads if head}
    problems = [
        f"no column {theirs!r} for {ours!r}; there are: {', '.join(by_key.values())} (--column {ours}=NAME)"
        for ours, theirs in wanted.items()
        if key(theirs) not in by_key and (ours in ("name", "group") or ours in reading.columns)
    ]
    if problems:
        raise ProblemsError(Problem(str(path), 1, 1, text) for text in problems)
    return {ours: by_key[key(theirs)] for ours, theirs in wanted.items() if key(theirs) in by_key}


def _entry(values: dict[str, str], place: Problem) -> tuple[PersonEntry, Problem]:
    kind = values.get("kind", "").lower() or Kind.INDIVIDUAL.value
    if kind not in list(Kind):
        raise ProblemsError([replace(place, message=unknown("kind", kind, [each.value for each in Kind]))])
    name = values.get("name", "")
    if not name:
        raise ProblemsError([replace(place, message="the name is missing")])
    return PersonEntry(
        name=name,
        group=values.get("group", ""),
        kind=Kind(kind),
        password=values.get("password", ""),
        expires=values.get("expires", ""),
    ), place


def first_secret(given: str | tuple[str, ...]) -> tuple[Secret, str]:
    """Return a first password and what to print of it: nothing of one that the file gives itself."""
    if isinstance(given, tuple):
        return of_pictures(given), ""
    if given:
        return Secret(given), ""
    made = first_password()
    return made, made.reveal()
