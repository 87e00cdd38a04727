"""What a site can be about: the rows of the schools' own tables and the standards' categories."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from appliance.model.inspect import Inspect


class Severity(IntEnum):
    """How much an attempt to reach this matters to the safeguarding lead."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Risk(StrEnum):
    """The four Cs of online risk (KCSIE; S-58)."""

    CONTENT = "content"
    CONTACT = "contact"
    CONDUCT = "conduct"
    COMMERCE = "commerce"


@dataclass(frozen=True, slots=True)
class Category:
    """One category.

    `floor` marks what the statutory lists feed (IWF, police-assessed terrorist content): no
    profile may rate it otherwise. `lifts` names broader categories that do not count for a site
    which is also in this one (an educational game is in every list of games as well).
    `inspect` is how far its sites are looked into, unless a profile's rule says otherwise.
    `plain` and `simple` are the words a page uses: "gambling" / "betting games".
    """

    id: str
    title: str
    severity: Severity
    risk: Risk
    plain: str
    simple: str
    floor: bool = False
    lifts: frozenset[str] = frozenset()
    inspect: Inspect | None = None
