"""An override: what staff have opened for a lesson, for whom, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

type Network = IPv4Network | IPv6Network


class State(StrEnum):
    """Where an override stands; the last three are ends, from which nothing leads back."""

    REQUESTED = "requested"  # somebody asks, nobody has decided
    GRANTED = "granted"  # decided, and its time has not come yet
    ACTIVE = "active"  # in force
    REFUSED = "refused"
    EXPIRED = "expired"  # its time is over
    REVOKED = "revoked"  # taken back before that

    @property
    def over(self) -> bool:
        """True when nothing can happen to it any more."""
        return self in (State.REFUSED, State.EXPIRED, State.REVOKED)


@dataclass(frozen=True, slots=True)
class What:
    """What is opened. Any of the three is enough.

    `hosts` cover all names below them; `pages` are `(host, path)`, each with all that lies below its
    path on exactly that host; `categories` cover every site that is blocked for nothing else.
    """

    hosts: frozenset[str] = frozenset()
    pages: frozenset[tuple[str, str]] = frozenset()
    categories: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.hosts or self.pages or self.categories)


@dataclass(frozen=True, slots=True)
class Whom:
    """For whom. Who is one of `persons` or `groups`; where is one of `networks` or `devices`.

    Where both who and where are given, both must hold; none at all is nobody.
    """

    persons: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    devices: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.persons or self.groups or self.networks or self.devices)


@dataclass(frozen=True, slots=True)
class Grant:
    """One override as whoever decides needs it. Moments are seconds since 1970; the end does not count.

    `role` is the granter's role in `roles.yaml`, whose limits hold for as long as the override does;
    `words` say who opened it, until when and why; `learns` tells that what its pages need comes with them.
    """

    number: int
    what: What
    whom: Whom
    role: str
    starts: float
    ends: float
    words: str = ""
    learns: bool = False
