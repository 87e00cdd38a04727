"""Who is asking, how sure we are, and whether they may be here at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Confidence(StrEnum):
    """How far the record may trust that this is the named person (S-06, DFE-F10)."""

    CERTAIN = "certain"  # signed in with own credentials
    LIKELY = "likely"  # a registered device: whose it is is known, not who holds it
    GROUP = "group"  # a class or network login: the group is known, the child is not
    UNKNOWN = "unknown"  # nothing matched; the strictest profile applies


class Kind(StrEnum):
    """What sort of log-in an account is (S-02 to S-05, S-08)."""

    INDIVIDUAL = "individual"  # one pupil
    CLASS = "class"  # one class shares it: never one child
    GENERIC = "generic"  # everybody of an age shares it (early years)
    STAFF = "staff"  # one named adult who works here
    GUEST = "guest"  # one visitor, for a limited time

    @property
    def shared(self) -> bool:
        """True when several people use this log-in, so that it never names a person."""
        return self in (Kind.CLASS, Kind.GENERIC)


class Standing(StrEnum):
    """Whether this person or device has access; all but OPEN leave help lines alone open."""

    OPEN = "open"
    FROZEN = "frozen"  # stopped at once, until somebody lifts it (S-60)
    REMOVED = "removed"  # access taken away for a fixed time (S-62)
    SIGNED_OUT = "signed_out"  # this network asks for a sign-in, and nobody has signed in


@dataclass(frozen=True, slots=True)
class Person:
    """The one who asks. `name` is empty when only the group is known: never a guessed child.

    `group` names the profile within the school's set; `source` says in words how we know
    ("network Classrooms", "class login, portal"). Of a class or generic log-in, `name` is that
    log-in's. `device` is what staff call the device, or its hardware address.
    """

    group: str
    source: str
    confidence: Confidence = Confidence.GROUP
    name: str = ""
    device: str = ""
    kind: Kind | None = None
    standing: Standing = Standing.OPEN
