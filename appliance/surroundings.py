"""What the journey of one request needs of the rooms that it leads through.

What lives only here: these four ports of `filtering.py`, and the promises that it relies upon.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Protocol

from appliance.model.inspect import Traits
from appliance.model.known import Known
from appliance.model.person import Person
from appliance.model.url import Url


class Lists(Protocol):
    """What the decision needs of the lists."""

    def lookup(self, url: Url) -> Known:
        """Return what the lists say of `url`; never raises."""

    def traits(self, url: Url) -> Traits:
        """Return what the lists say of the site beside what it is about; never raises."""


class Identity(Protocol):
    """What the decision needs of identity."""

    def resolve(self, address: str, user: str = "") -> Person:
        """Return who stands behind a client address; `user` has shown proxy credentials."""


class Reach(Protocol):
    """What the decision needs to know of the gateway's own surroundings."""

    def refuses(self, url: Url) -> str:
        """Return why `url` lies in the school's own network, or an empty text."""


class Told(Protocol):
    """How workers tell each other of floor hits."""

    def tell(self, client: str, what: str, now: datetime) -> None:
        """Tell every worker, this one included, of one hit."""

    def news(self) -> Iterable[tuple[str, Hashable, datetime]]:
        """Return the hits that this worker has not heard of yet."""
