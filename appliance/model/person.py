"""Who is asking, and how sure we are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Confidence(StrEnum):
    """How far the record may trust that this is the named person (S-06, DFE-F10)."""

    CERTAIN = "certain"  # signed in with own credentials
    GROUP = "group"  # a class or network login: the group is known, the child is not
    UNKNOWN = "unknown"  # nothing matched; the strictest profile applies


@dataclass(frozen=True, slots=True)
class Person:
    """The one who asks. `name` is empty when only the group is known: never a guessed child.

    `group` names the profile within the school's set; `source` says in words how we know
    ("network Classrooms", "command line").
    """

    group: str
    source: str
    confidence: Confidence = Confidence.GROUP
    name: str = ""
    device: str = ""
