from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.events.carried import Carried
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.stops import STEPS, Stops
from appliance.model.person import Standing
from tests.doubles.people import NOW, TABLET, school


@pytest.mark.slow
def test_a_freeze_holds_until_it_is_lifted(tmp_path: Path) -> None:
    """S-60: frozen at once, with who, when and why in the trail; sessions stay, so that nobody slips off."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    made.stops.freeze("Amy", "illegal site", by="head", now=NOW)
    (stop,) = made.stops.in_force(NOW + 10**9)
    assert (stop.key, stop.what, stop.reason) == ("amy", Standing.FROZEN, "illegal site")
    assert len(made.sessions.open(NOW)) == 1
    made.stops.lift("amy", Standing.FROZEN, by="head", now=NOW + 5)
    assert made.stops.in_force(NOW + 5) == []
    assert [entry["what"] for entry in made.trail.entries()] == ["freeze", "unfreeze"]
    with pytest.raises(IdentityError, match="not frozen"):
        made.stops.lift("amy", Standing.FROZEN, by="head", now=NOW)


@pytest.mark.slow
def test_removed_access_comes_back_by_itself(tmp_path: Path) -> None:
    """S-62: a fixed period ends without anybody's doing, and the trail says so."""
    made = school(tmp_path)
    made.stops.remove("amy", "games", NOW + 60, by="head", now=NOW)
    assert made.stops.restore_due(NOW + 59) == []
    assert len(made.stops.in_force(NOW + 59)) == 1
    assert made.stops.in_force(NOW + 60) == []
    assert [stop.name for stop in made.stops.restore_due(NOW + 60)] == ["amy"]
    assert made.stops.restore_due(NOW + 60) == []
    assert [entry["what"] for entry in made.trail.entries()] == ["remove-access", "restore"]
    with pytest.raises(IdentityError, match="passed already"):
        made.stops.remove("amy", "games", NOW, by="head", now=NOW)


@pytest.mark.slow
def test_a_second_stop_of_a_kind_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """A longer removal counts from now on, and lifting it lifts all of it."""
    made = school(tmp_path)
    for days in (1, 3):
        made.stops.remove("amy", "games", NOW + days, by="head", now=NOW)
    assert [stop.until for stop in made.stops.in_force(NOW)] == [NOW + 3]


def test_what_is_not_in_the_trail_does_not_happen(tmp_path: Path) -> None:
    """Audit: a stop that could not be recorded is not in force unseen."""
    made = school(tmp_path)
    made.trail.path.mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        made.stops.freeze("amy", "x", by="head", now=NOW)
    assert made.stops.in_force(NOW) == []


class _Full(Database):
    """A database whose disk is full at the end of the first transaction."""

    full = True

    @contextmanager
    def writing(self, *, changes: bool = False, accounts: bool = True) -> Iterator[sqlite3.Connection]:
        with super().writing(changes=changes, accounts=accounts) as db:
            yield db
            if self.full:
                self.full = False
                raise IdentityError("database or disk is full")


@pytest.mark.slow
def test_a_freeze_that_was_rolled_back_is_no_freeze_in_the_audit(tmp_path: Path) -> None:
    """S-60: governors do not read that somebody was frozen who was not; trying again is a freeze."""
    made = school(tmp_path)
    made.add("amy")
    made.stops.settle()
    stops = Stops(_Full(tmp_path), Carried(made.trail, STEPS))
    with pytest.raises(IdentityError, match="full"):
        stops.freeze("amy", "illegal site", by="head", now=NOW)
    assert stops.in_force(NOW) == []
    assert [(one["what"], one.get("record")) for one in made.trail.entries()] == [
        ("freeze", None),
        ("not-carried-out", 1),
    ]
    stops.freeze("amy", "illegal site", by="head", now=NOW)
    stops.settle()
    assert [one["what"] for one in made.trail.entries()][2:] == ["freeze"]


def test_a_record_that_a_power_cut_left_is_told_at_the_start(tmp_path: Path) -> None:
    """Between the audit and the database the power went: whoever starts next says so, once."""
    made = school(tmp_path)
    made.stops.settle()
    Carried(made.trail, STEPS).add("freeze", "amy", by="head", at=NOW)
    for _twice in range(2):
        made.stops.settle()
    assert [one["what"] for one in made.trail.entries()] == ["freeze", "not-carried-out"]
