"""What a role in the school may open for pupils, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grants(StrEnum):
    """How far a role may grant."""

    AT_ONCE = "at_once"  # its own wishes, and what others ask for
    FOR_OTHERS = "for_others"  # only what somebody else has asked for: two persons
    NOTHING = "nothing"  # it may ask


@dataclass(frozen=True, slots=True)
class Role:
    """One role, and its limits. `where` is file and line.

    Whoever has an account in one of `groups`, or is named in `people`, has the role. It may open the
    `categories`, sites that no list names where `unlisted`, and what the school itself has blocked
    where `own_blocks`, for people of the profiles `opens_for`; at most `longest_minutes` at a time, which
    begin at most `ahead_days` from now.
    """

    id: str
    title: str
    because: str
    where: str
    grants: Grants
    longest_minutes: int
    ahead_days: int
    opens_for: frozenset[str]
    categories: frozenset[str]
    unlisted: bool = False
    own_blocks: bool = False
    groups: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
