"""One override as it is kept: how what and for whom are written, and read back.

What lives only here: the JSON in the database. A row that cannot be read opens nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from appliance.model.grant import Grant, State, What, Whom

COLUMNS = (
    "number, state, what, whom, reason, subject, starts, ends, left, asked_by, asked_at, granted_by, role, "
    "ended_at, review, learns"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. Moments are seconds since 1970; `review` is a blocked page's reference.

    `learns` says that what its pages need of other sites comes with them.
    """

    what: What
    whom: Whom
    reason: str
    subject: str
    starts: float
    ends: float
    review: str = ""
    learns: bool = True


@dataclass(frozen=True, slots=True)
class Override:
    """One override with all that is known of it; `left` are the seconds that it may still be in force."""

    number: int
    state: State
    wish: Wish
    left: float | None
    asked_by: str
    asked_at: float
    granted_by: str = ""
    role: str = ""
    ended_at: float | None = None

    def grant(self, words: str) -> Grant:
        """Return what whoever decides needs of it."""
        wish = self.wish
        return Grant(
            self.number, wish.what, wish.whom, self.role, wish.starts, wish.ends, words, learns=wish.learns
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an override: what it became, when, by whom, and what was said with it."""

    at: float
    state: State
    by: str
    note: str


def what_text(what: What) -> str:
    """Return what is opened as JSON."""
    return json.dumps(
        {
            "hosts": sorted(what.hosts),
            "pages": sorted(what.pages),
            "categories": sorted(what.categories),
        }
    )


def whom_text(whom: Whom) -> str:
    """Return for whom it is opened as JSON."""
    return json.dumps(
        {
            "persons": sorted(whom.persons),
            "groups": sorted(whom.groups),
            "networks": sorted(map(str, whom.networks)),
            "devices": sorted(whom.devices),
        }
    )


def override_of(row: tuple[Any, ...]) -> Override:
    """Return one row of `COLUMNS` as a value; ValueError where it cannot be read."""
    (
        number,
        state,
        what,
        whom,
        reason,
        subject,
        starts,
        ends,
        left,
        asked_by,
        asked_at,
        by,
        role,
        over,
        review,
        learns,
    ) = row
    try:
        opens, people = json.loads(what), json.loads(whom)
        wish = Wish(
            What(
                frozenset(opens["hosts"]),
                frozenset((host, path) for host, path in opens["pages"]),
                frozenset(opens["categories"]),
            ),
            Whom(
                frozenset(people["persons"]),
                frozenset(people["groups"]),
                tuple(ip_network(text) for text in people["networks"]),
                frozenset(people["devices"]),
            ),
            reason,
            subject,
            starts,
            ends,
            review,
            bool(learns),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"override {number} cannot be read") from error
    return Override(number, State(state), wish, left, asked_by, asked_at, by, role, over)
