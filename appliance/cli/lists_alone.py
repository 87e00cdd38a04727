"""What one person may still do to lists while two people change the policy: close more, at once.

What lives only here: how that is told. A list closes more if every profile closes what it is about, and if no
entry of its edition before is missing in the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from appliance.assembly import Loaded
from appliance.cli.lists_common import Where, need_two
from appliance.lists.formats_line import EXCEPTION
from appliance.lists.importer import Accept
from appliance.lists.paths import Paths
from appliance.lists.store import Meta, Store
from appliance.model.profile import Policy, Rating

_CLOSED = frozenset({Rating.UNACCEPTABLE, Rating.ILLEGAL})


class WhereDecided(Where, Protocol):
    """What is needed beside what all verbs do."""

    @property
    def counting(self) -> Loaded:
        """The configuration with the policy in force."""


def may_import(where: WhereDecided, path: Path, categories: Sequence[str], use: str) -> None:
    """Refuse an import that could open something, where two people do that; TwoPeopleError."""
    if not where.approval_of_two or use == "block":
        return
    options = [f"--import {path}", *(f"--category {name}" for name in categories)]
    options += [f"--use {use}"] if use != "category" else []
    if not categories or use == "allow" or not closed(where.counting.policy, categories):
        need_two(where, "import what could open sites", " ".join(options))


def closed(policy: Policy, categories: Sequence[str]) -> bool:
    """Tell whether every profile of every set closes all of these categories, whatever the hour."""
    profiles = [profile for chosen in policy.sets.values() for profile in chosen.profiles.values()]
    return all(
        name in policy.categories and (name not in profile.rules or profile.rules[name].rating in _CLOSED)
        for profile in profiles
        for name in categories
        if not (name in policy.categories and policy.categories[name].floor)
    )


def nothing_less(where: Where) -> Accept | None:
    """Return what refuses an edition that names less than the one before; None with one person."""
    if not where.approval_of_two:
        return None

    def accept(editions: Sequence[tuple[Meta, Path]]) -> None:
        store = Store(Paths(where.state))
        before = {meta.id: meta for meta in store.whole()}
        for meta, keys in editions:
            old = before.get(meta.id)
            if old is not None and _shrinks(store.keys_of(old), keys):
                need_two(where, f"take entries out of {meta.id!r}", "--import PATH")

    return accept


def _shrinks(old: Path, new: Path) -> bool:
    # By the hashes of lines: lists have millions.
    with old.open(encoding="ascii") as file:
        missing = {hash(line) for line in file}
    with new.open(encoding="ascii") as file:
        for line in file:
            if line.startswith(EXCEPTION) and hash(line) not in missing:
                return True
            missing.discard(hash(line))
    return bool(missing)
