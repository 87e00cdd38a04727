from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.model.grant import State
from appliance.overrides.names import OverrideError
from appliance.overrides.reviews import DAYS, MOST_FROM_ONE, REASON, Asked, Intake
from tests.overrides.making import NOW, Made, make

UPSET = "I saw something that upset me."
ONE = Asked(
    "7KQ4-M2XD", NOW, "10.20.0.5", "ks2", "It is my home page, amy", "bets.example", "unacceptable", False
)


def intake(made: Made) -> Intake:
    return Intake(made.store, {"unacceptable", "unlisted_blocked"}, {UPSET})


def test_what_a_pupil_asks_for_waits_for_staff(tmp_path: Path) -> None:
    """UKF-S13: a review request is seen and decided, and what the pupil wrote is in no second place."""
    made = make(tmp_path)
    (number,) = intake(made).take([ONE], NOW)
    found = made.store.get(number)
    assert (found.state, found.wish.review, found.asked_by) == (
        State.REQUESTED,
        "7KQ4-M2XD",
        "the block page",
    )
    assert found.wish.what.hosts == {"bets.example"}
    assert found.wish.whom.groups == {"ks2"}
    assert found.wish.reason == REASON
    assert "amy" not in str(made.trail.kept)


@pytest.mark.slow
def test_each_counts_once_and_the_same_site_waits_once(tmp_path: Path) -> None:
    """Thirty pupils who press one button are one decision, also over a restart."""
    made = make(tmp_path)
    others = [replace(ONE, reference=f"R-{number}", client=f"10.20.0.{number}") for number in range(30)]
    assert intake(made).take([ONE, ONE, *others], NOW) == [1]
    assert intake(made).take([ONE, *others], NOW) == []
    made.store.refuse(1, by="head", now=NOW, note="No.")
    assert intake(made).take([ONE], NOW) == [], "what was decided is not asked again by itself"
    assert intake(made).take([replace(ONE, reference="NEW", group="ks1")], NOW) == [2]


@pytest.mark.parametrize(
    "changes",
    [
        {"floor": True},
        {"host": ""},
        {"reason": "floor"},
        {"reason": "illegal"},
        {"reason": "frozen"},
        {"message": UPSET},
    ],
)
def test_what_staff_cannot_open_is_no_request(tmp_path: Path, changes: dict[str, object]) -> None:
    """A floor hit leaves no trace here, and a child who is upset asks for help and not for the site."""
    made = make(tmp_path)
    assert intake(made).take([replace(ONE, **changes)], NOW) == []  # type: ignore[arg-type]  # fields
    assert made.store.all(over=True) == []


def test_one_device_brings_in_only_so_many(tmp_path: Path) -> None:
    """A pupil who asks for everything hides nobody else's request, and may ask again an hour later."""
    made = make(tmp_path)
    many = [replace(ONE, reference=str(number), host=f"s{number}.example") for number in range(9)]
    one = intake(made)
    assert len(one.take(many, NOW)) == MOST_FROM_ONE
    assert len(one.take([replace(many[8], reference="x", client="10.20.0.6")], NOW)) == 1
    assert len(one.take(many, NOW + 3600)) == 3


def test_a_request_that_nobody_decides_ends(tmp_path: Path) -> None:
    """What waits is short enough to be read."""
    made = make(tmp_path)
    intake(made).take([ONE], NOW)
    made.store.advance(NOW + DAYS * 86_400)
    assert made.store.get(1).state is State.REFUSED
    with pytest.raises(OverrideError):
        made.store.grant(1, "teacher", by="a", now=NOW)
