"""Tests of one person among the people: all of theirs without secrets, and an erasure that keeps stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity import subject
from tests.doubles.people import NOW, TABLET, School, school

pytestmark = pytest.mark.slow  # each makes a database


@pytest.fixture
def there(tmp_path: Path) -> School:
    """Return a school with two pupils; one is signed in and was once stopped."""
    made = school(tmp_path)
    ada = made.add("Ada Example")
    made.add("Ben Example")
    made.accounts.accept(ada, "2026-09", TABLET.address, NOW)
    made.stops.remove("Ada Example", "phone in class", NOW + 60, by="head", now=NOW)
    made.stops.restore_due(NOW + 61)
    made.sessions.begin(ada, TABLET, NOW, NOW + 3600)
    return made


def test_everything_of_one_person_without_a_secret(there: School) -> None:
    """DP-6: in whatever spelling the name is asked for; no hash and no other person's name leaves."""
    found = subject.kept(there.database, "ADA example")
    assert [len(found[kind]) for kind in ("account", "agreements", "sessions", "stops")] == [1, 1, 1, 1]
    assert "argon2" not in str(found)
    assert "head" not in str(found)
    assert "Ben" not in str(found)


def test_an_erasure_leaves_the_others(there: School) -> None:
    """One account goes with everything that belongs to it; the next child's stays."""
    gone, stay = subject.erase(there.database, "Ada Example")
    assert gone == {"account": 1, "agreements": 1, "sessions": 1, "stops": 1}
    assert stay == []
    assert not any(subject.kept(there.database, "Ada Example").values())
    assert [account.name for account in there.accounts.all()] == ["Ben Example"]


def test_a_stop_that_is_in_force_stays(there: School) -> None:
    """Nobody is let in again by having their data erased."""
    there.stops.freeze("Ada Example", "police", by="head", now=NOW)
    assert subject.erase(there.database, "Ada Example")[1] == ["frozen"]
    assert [stop.name for stop in there.stops.in_force(NOW)] == ["Ada Example"]
