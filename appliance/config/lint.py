"""The policy linter: blanks, contradictions and dead rules, in words for a governor.

What lives only here: the rules of that search. A finding is a question to the school, not an error:
everything compiles and runs, and the stricter reading is in force until the school has answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from appliance.config.written import Document, Statement, Written
from appliance.model.profile import Policy, Profile, Rating

HEAD = "Refer to Headteacher"
TABLE = "user actions"
"""The part of a document in which everything that pupils and staff do on the web should have a row."""

_NOT_ADVISED = {
    "change of passwords": "the National Cyber Security Centre advises against changing passwords by date: "
    "people then choose weaker ones; change them when there is reason to suspect something"
}


class Finding(NamedTuple):
    """One thing for the school to decide: file and line, the places in its document, and what."""

    file: str
    line: int
    places: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {', '.join(self.places)}: {self.message}"


def lint(written: Sequence[Written], policy: Policy) -> list[Finding]:
    """Return everything that the school should decide, by file and line."""
    found = [finding for each in written for finding in _one(each, policy.categories)]
    for one, other in combinations(written, 2):
        found += _between(one, other)
    return sorted({*found, *_rules(policy)})


def _one(written: Written, categories: Collection[str]) -> Iterator[Finding]:
    document = written.document

    def finding(message: str, *places: str) -> Finding:
        return Finding(*written.where(places[0]), places, message)

    for each in document.statement:
        if each.says == "blank":
            yield finding(
                f"{each.subject}, {_people(each)}: the cell is blank; it counts as not allowed", each.at
            )
    for message, places in (*_clashes(document), *_sanctions(document), *_duties(document)):
        yield finding(message, *places)
    table = {each.subject for each in document.statement if each.part == TABLE}
    for each in document.statement:
        if each.part != TABLE and table and each.subject in categories and each.subject not in table:
            message = (
                f"{each.subject}: has no row in the {TABLE}, only in the {each.part}; it is easily missed"
            )
            yield finding(message, each.at)


def _clashes(document: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    by_subject: dict[str, list[Statement]] = defaultdict(list)
    for each in document.statement:
        by_subject[each.subject].append(each)
    for subject, statements in by_subject.items():
        for one, other in combinations(statements, 2):
            opens = {"allowed", "limited"}
            both, said = one.who & other.who, {one.says, other.says}
            if both and said & opens and said - opens and "blank" not in said:
                message = (
                    f"{subject}: {one.says} in the {one.part}, {other.says} in the {other.part}, "
                    f"for {' and '.join(sorted(both))}; the stricter one is in force"
                )
                yield message, (one.at, other.at)


def _sanctions(document: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    for table in document.sanctions:
        rows = [row for row in document.incident if row.table == table.table]
        used = {action for row in rows for action in row.actions}
        if unused := [action for action in table.offers if action not in used]:
            offers = ", ".join(map(repr, unused))
            message = f"{table.table}: offers {offers}, and no incident ever uses it; nobody is told to do it"
            yield message, (table.at,)
        for row in rows:
            if row.illegal and HEAD in table.offers and HEAD not in row.actions:
                yield (f"{table.table}: {row.what}: the Headteacher is not told", (row.at,))


def _duties(document: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one, other in combinations(document.duty, 2):
        if one.what == other.what and one.every != other.every:
            yield (f"{one.what}: {one.every} here, {other.every} there", (one.at, other.at))
    for duty in document.duty:
        if duty.what in _NOT_ADVISED:
            yield (f"{duty.what} {duty.every}: {_NOT_ADVISED[duty.what]}", (duty.at,))
    for first, second in combinations(document.product, 2):
        if first.name == second.name and first.does != second.does:
            both = f"{first.name} is named as the {first.does} and as the {second.does}"
            yield f"{both}; one of the two is somebody else's work, or nobody's", (first.at, second.at)
    barred = [each for each in document.channel if each.data == "barred"]
    for each in document.channel:
        for bar in barred:
            if each.data == "sent" and each.channel == bar.channel:
                yield (
                    f"personal data is barred from {bar.channel}, and {each.by} sends its alerts by it",
                    (bar.at, each.at),
                )


def _between(one: Written, other: Written) -> Iterator[Finding]:
    theirs = {each.subject: each for each in other.document.statement if each.part == TABLE}
    for mine in one.document.statement:
        match = theirs.get(mine.subject)
        if mine.part == TABLE and match and (mine.says == "illegal") is not (match.says == "illegal"):
            yield Finding(
                *one.where(mine.at),
                (mine.at, match.at),
                f"{mine.subject}: {mine.says} in {one.set}, {match.says} in {other.set}; "
                "what the two report of it cannot be compared",
            )


def _rules(policy: Policy) -> Iterator[Finding]:
    for school in policy.sets.values():
        for profile in school.profiles.values():
            yield from _dead(school.id, profile)


def _dead(school: str, profile: Profile) -> Iterator[Finding]:
    named = (Rating.CERTAIN_USERS, Rating.NOMINATED_USERS)
    for rule in profile.rules.values():
        file, _, line = rule.where.rpartition(":")
        if rule.rating in named and not rule.users:
            yield Finding(
                file,
                int(line) if line.isdigit() else 1,
                (f"{school}/{profile.id}",),
                f"{rule.category}: open to named persons, and nobody is named: it opens for nobody",
            )


def _people(statement: Statement) -> str:
    return " and ".join(sorted(statement.who))
