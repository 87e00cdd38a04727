"""Overrides, joined with the audit trail: the store, and what keeps a process on what is in force.

What lives only here: that joining, for workers, the supervisor and the commands alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.events.queries import open_reader
from appliance.model.grant import Grant
from appliance.model.profile import ProfileSet
from appliance.overrides.database import Database
from appliance.overrides.following import Follower, Keeper, Watch, words
from appliance.overrides.needs import Learnt, Seen
from appliance.overrides.reports import Reports
from appliance.overrides.reviews import Asked, Intake
from appliance.overrides.store import Overrides
from appliance.policy.overrides import OVERRIDABLE

_PATIENCE = 0.2
"""Seconds that a page waits at most until what it needs is written down: others wait with it."""

_AT_ONCE = 200
"""Review requests that are looked at in one round."""


def prepare(state: Path) -> None:
    """Make the database of overrides where there is none; OSError or OverrideError where it cannot be."""
    Database(state).prepare()


def _trail(state: Path, typist: str = "") -> Carried:
    # Where somebody types for somebody else the trail names both.
    return Carried(Trail(state), "overrides", typed_by=typist)


def store(state: Path, *, asks: bool = False, typist: str = "") -> Overrides:
    """Return the store of overrides.

    `asks` is for a verb that only asks; `typist` is whoever types for the one who decides.
    """
    return Overrides(Database(state, asks=asks), _trail(state, typist))


def reports(state: Path, *, typist: str = "") -> Reports:
    """Return the reports of overrides that have ended; `typist` is whoever types for the one who looks."""
    return Reports(Database(state), _trail(state, typist))


def learnt(state: Path) -> Learnt:
    """Return what a worker knows, and learns, of what the pages of overrides need."""
    return Learnt(Database(state, patience=_PATIENCE))


def in_force(state: Path, school: ProfileSet) -> list[Grant]:
    """Return the grants in force or about to be, for a verb that only asks; none without a database."""
    database = Database(state, asks=True)
    if not database.path.exists():
        return []
    return [one.grant(words(one, school.zone)) for one in store(state, asks=True).in_force()]


def seen(state: Path, grants: Iterable[Grant]) -> Seen:
    """Return what the pages of these overrides have named, for a verb that only asks."""
    reading = store(state, asks=True)
    return Seen({grant.number: reading.needs(grant.number) for grant in grants})


def follower(
    state: Path, school: ProfileSet, use: Callable[[tuple[Grant, ...], frozenset[int]], None]
) -> Follower:
    """Return what keeps a process on the overrides in force; `use` takes them, and those that ended."""
    return Follower(store(state), Watch(Database(state)), use, school.zone)


def intake(state: Path, upset: Collection[str]) -> Intake:
    """Return what takes the review requests of block pages in; `upset` messages ask for no site."""
    return Intake(store(state), {reason.value for reason in OVERRIDABLE}, upset)


async def asked_on_pages(state: Path, since: float) -> list[Asked]:
    """Return the review requests since a moment, with the blocks they are about; EventsError."""
    found = []
    async with open_reader(state) as reader:
        for review in await reader.reviews(since=datetime.fromtimestamp(since, UTC), limit=_AT_ONCE):
            blocks = await reader.accesses(reference=review.reference, limit=1)
            found += [
                Asked(
                    review.reference,
                    review.time / 1000,
                    review.client,
                    review.group,
                    review.message,
                    block.host,
                    block.reason,
                    bool(block.floor),
                )
                for block in blocks
            ]
    return found


def keeper(state: Path, school: ProfileSet, keep_days: int) -> Keeper:
    """Return what begins and ends overrides for all processes, and forgets those that ended long ago."""
    return Keeper(store(state), follower(state, school, lambda _grants, _ended: None), keep_days=keep_days)
