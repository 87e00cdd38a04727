"""Whether a change of the profiles does more harm than was foreseen, by counts alone.

What lives only here: the comparison. One person, however often they ask, cannot bring a change back: no more
than a fifth of what is needed counts for anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

_PEOPLE = 5


class Counted(Protocol):
    """Sites that were asked for, and by whom how many were blocked, or failed."""

    @property
    def asked(self) -> int:
        """How many sites, each once a person and day."""

    @property
    def blocked(self) -> Mapping[str, int]:
        """By person, how many of them were blocked."""

    @property
    def faults(self) -> Mapping[str, int]:
        """By person, how many of them could not be judged."""


def foreseen(impact: Mapping[str, Any]) -> float:
    """Return the share of decisions that the replay said would be newly blocked."""
    judged = impact.get("judged", 0)
    return float(impact["newly_blocked"]["requests"] / judged) if judged else 0.0


def jump(before: Counted, after: Counted, *, expected: float, factor: float, minimum: int) -> str:
    """Return in words why a change should return, or an empty text.

    `expected` is the share of blocks that the change was known to bring. Where nothing was asked before,
    there is nothing to compare with, and nothing returns.
    """
    if not before.asked or not after.asked:
        return ""
    for what, old, new, more in (
        ("blocked", before.blocked, after.blocked, expected),
        ("closed by a fault", before.faults, after.faults, 0.0),
    ):
        count = sum(min(each, minimum // _PEOPLE) for each in new.values())
        usual = max(sum(old.values()), 1) / before.asked + more
        if count >= minimum and count / after.asked > factor * usual:
            return (
                f"{count / after.asked:.0%} of what was asked for was {what} ({count} of {after.asked}), "
                f"where {usual:.1%} was to be expected"
            )
    return ""
