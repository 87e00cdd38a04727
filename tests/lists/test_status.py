"""What may be said of the lists."""

from __future__ import annotations

from pathlib import Path

from appliance.lists.locked import LockedFloor
from appliance.lists.paths import Paths
from appliance.lists.status import FloorStatus, ListStatus
from appliance.lists.table import Info
from appliance.model.known import FloorState


def test_age_counts_from_the_import() -> None:
    """An imported list is as old as its import; one that ships as its compile."""
    imported = Info("a", "A", "v", (), "block", dated="1970-01-01T00:01:00+00:00")
    assert ListStatus.of(imported, 500.0, 100.0).age == 40.0
    assert ListStatus.of(Info("a", "A", "v", (), "block"), 90.0, 100.0).age == 10.0


def test_an_age_is_never_negative() -> None:
    """A clock that was set back does not give metrics a negative age."""
    assert ListStatus.of(Info("a", "A", "v", (), "block"), 500.0, 100.0).age == 0.0


def test_a_missing_floor_has_a_status(tmp_path: Path) -> None:
    """`lists status` works, and says so, when nothing was compiled."""
    status = FloorStatus.of(LockedFloor(Paths(tmp_path), 48.0), 0.0)
    assert (status.state, status.mode, status.lists) == (FloorState.MISSING, "", ())
