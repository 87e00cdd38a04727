from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from appliance.changes.jump import foreseen, jump


@dataclass
class Seen:
    asked: int = 0
    blocked: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)


def class_of(each: int, pupils: int = 30) -> dict[str, int]:
    return {f"pupil {number}": each for number in range(pupils)}


USUAL = Seen(10_000, {"pupil 1": 200}, {})


@pytest.mark.parametrize(
    ("after", "expected", "why"),
    [
        (Seen(300, class_of(5)), 0.0, "blocked"),  # half of everything, in a whole class
        (Seen(300, class_of(5)), 0.3, ""),  # the replay had said so
        (Seen(300, {"pupil 1": 250}), 0.0, ""),  # one pupil with an afternoon brings nothing back
        (Seen(100, class_of(1)), 0.0, ""),  # too few
        (Seen(9_000, class_of(10)), 0.0, ""),  # no more than usual
        (Seen(300, {}, class_of(5)), 0.0, "fault"),
        (Seen(), 0.0, ""),
    ],
)
def test_a_jump_is_a_jump_of_many(after: Seen, expected: float, why: str) -> None:
    """A change returns where many are blocked whom nobody foresaw, and never for one who asks for it."""
    found = jump(USUAL, after, expected=expected, factor=3.0, minimum=50)
    assert why in found
    assert bool(why) is bool(found)


def test_nothing_to_compare_with_returns_nothing() -> None:
    """A gateway in its first hour has no week before; that is no reason to return."""
    assert jump(Seen(), Seen(300, class_of(10)), expected=0, factor=3, minimum=50) == ""
    assert foreseen({}) == 0.0
    assert foreseen({"judged": 200, "newly_blocked": {"requests": 50}}) == 0.25
