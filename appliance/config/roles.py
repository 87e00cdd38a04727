"""profiles/<set>/roles.yaml: who may open what for a lesson, as model values.

What lives only here: whether a role's limits can mean anything. A role that opens what the floor closes, for
people that no profile describes, or that nobody has, would be a promise that is never kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from appliance.config.document import Document, Path
from appliance.config.fields import Name, Sentence, Texts
from appliance.config.problems import Problem, unknown
from appliance.config.shapes import Text
from appliance.config.typed import Section
from appliance.model.category import Category
from appliance.model.role import Grants, Role

ROLES_FILE = "roles.yaml"
LONGEST_MINUTES = 60 * 24 * 31
"""A month: what is needed for longer is a rule of a profile, or an entry of the school's own."""


class RoleShape(Section):
    """What one role may open for a lesson, and for how long."""

    title: Text
    """What staff call it."""
    because: Sentence
    """Why these limits, as a governor reads it."""
    source: Texts = ()
    """Where it is written, for example W:230; added to the reason in brackets."""
    groups: tuple[Name, ...] = ()
    """Profiles whose accounts have this role."""
    people: tuple[Text, ...] = ()
    """Accounts that have this role, by name."""
    grants: Grants
    """at_once; for_others: only what somebody else has asked for; or nothing: it may only ask."""
    longest_minutes: Annotated[int, Field(ge=1, le=LONGEST_MINUTES, strict=True, examples=[120])]
    """The longest that one override may last."""
    ahead_days: Annotated[int, Field(ge=0, le=366, strict=True)] = 14
    """How many days from now it may begin at the latest."""
    opens_for: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The profiles of those for whom it may open something."""
    categories: tuple[Name, ...] = ()
    """What it may open. A category that is not here stays closed, whatever an override names."""
    unlisted: bool = False
    """Whether it may open sites that no list names, where a profile blocks those."""
    own_blocks: bool = False
    """Whether it may open what the school itself has blocked (`appliance lists add block`)."""


class RolesFile(Section):
    """roles.yaml: who may open what for a lesson, for whom and for how long."""

    roles: dict[Name, RoleShape]
    """Each role under its id."""


def roles_of(document: Document, shape: RolesFile, shown: str) -> dict[str, Role]:
    """Return the roles of a file; `shown` is its name in decisions."""
    return {
        name: Role(
            id=name,
            title=role.title,
            because=f"{role.because} ({', '.join(role.source)})" if role.source else role.because,
            where=f"{shown}:{document.keys['roles', name].line}",
            grants=role.grants,
            longest_minutes=role.longest_minutes,
            ahead_days=role.ahead_days,
            opens_for=frozenset(role.opens_for),
            categories=frozenset(role.categories),
            unlisted=role.unlisted,
            own_blocks=role.own_blocks,
            groups=frozenset(role.groups),
            people=frozenset(role.people),
        )
        for name, role in shape.roles.items()
    }


def problems_of(
    document: Document, shape: RolesFile, profiles: Collection[str], categories: Mapping[str, Category]
) -> Iterator[Problem]:
    """Yield everything that no role may say; `profiles` are those of the set that people are given."""
    for name, role in shape.roles.items():
        path: Path = ("roles", name)
        yield from _unknown(document, (*path, "groups"), "profile", role.groups, profiles)
        yield from _unknown(document, (*path, "opens_for"), "profile", role.opens_for, profiles)
        yield from _unknown(document, (*path, "categories"), "category", role.categories, categories)
        for index, category in enumerate(role.categories):
            if category in categories and categories[category].floor:
                message = f"the floor cannot be turned off: no role may open {category!r}"
                yield document.problem((*path, "categories", index), message)
        if not role.groups and "people" not in role.model_fields_set:
            message = (
                f"nobody has the role {name!r}: give it 'groups', or 'people' ([] until somebody has it)"
            )
            yield document.problem(path, message)
        if not (role.categories or role.unlisted or role.own_blocks):
            message = f"the role {name!r} opens nothing: give it 'categories', 'unlisted' or 'own_blocks'"
            yield document.problem(path, message)


def _unknown(
    document: Document, path: Path, kind: str, names: Iterable[str], known: Collection[str]
) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if known and name not in known:
            yield document.problem((*path, index), unknown(kind, name, known))
