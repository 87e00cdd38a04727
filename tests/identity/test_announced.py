from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.identity.announced import Announced, AnnouncedStore, Report, Status, announced
from tests.doubles.people import NOW, TABLET, School, school

pytestmark = pytest.mark.slow

START = Report(Status.START, "wifi", "ap-1", "S1", NOW, "amy", TABLET.mac, (TABLET.address,))


def store(folder: Path) -> tuple[School, AnnouncedStore]:
    made = school(folder)
    return made, AnnouncedStore(made.database, 600)


def take(kept: AnnouncedStore, report: Report, **changes: object) -> bool:
    changed = replace(report, **changes)  # type: ignore[arg-type] # fields of Report
    done = kept.take(changed, changed.at, changed.at + 1500)
    if changed.name:
        kept.settle(changed.name, counts=True)
    return done


def there(made: School, now: float = NOW) -> list[Announced]:
    with made.database.reading() as db:
        return list(announced(db, now))


def test_a_log_in_counts_from_start_to_stop(tmp_path: Path) -> None:
    """802.1X: from the moment that the switch lets somebody in to the moment that they leave."""
    made, kept = store(tmp_path)
    assert take(kept, START)
    assert there(made) == [Announced("amy", TABLET.mac, (TABLET.address,), NOW + 1500)]
    assert take(kept, START, status=Status.STOP, at=NOW + 9)
    assert there(made) == []


def test_a_log_in_of_which_nothing_is_heard_ends(tmp_path: Path) -> None:
    """A switch that loses power sends no Stop: belief ends when the Interims do."""
    made, kept = store(tmp_path)
    take(kept, START)
    take(kept, START, status=Status.INTERIM, at=NOW + 600, addresses=(TABLET.address, "fd00:20::14"))
    assert there(made, NOW + 2099)[0].addresses == (TABLET.address, "fd00:20::14")
    assert there(made, NOW + 2100) == []


def test_an_old_packet_changes_nothing(tmp_path: Path) -> None:
    """Replayed: neither a Start after the Stop, nor an older Interim, brings anybody back."""
    made, kept = store(tmp_path)
    take(kept, START, at=NOW + 5)
    assert not take(kept, START)
    take(kept, START, status=Status.STOP, at=NOW + 9)
    for status in (Status.START, Status.INTERIM):
        assert not take(kept, START, status=status, at=NOW + 9)
    assert there(made) == []
    assert take(kept, START, at=NOW + 10)
    assert len(there(made)) == 1


def test_a_stop_that_comes_first_is_remembered(tmp_path: Path) -> None:
    """Packets overtake each other: a Start that comes after its own Stop is over."""
    made, kept = store(tmp_path)
    assert take(kept, START, status=Status.STOP, at=NOW + 9)
    assert not take(kept, START)
    assert there(made) == []


def test_one_device_is_one_person(tmp_path: Path) -> None:
    """The next one at a shared computer takes the place of the one before, even without a Stop."""
    made, kept = store(tmp_path)
    take(kept, START)
    take(kept, START, session="S2", nas="ap-2", name="bob", at=NOW + 5)
    assert [each.key for each in there(made)] == ["bob"]
    take(kept, START, session="S3", name="eve", mac="02:00:00:00:00:01", at=NOW + 1)
    assert [each.key for each in there(made)] == ["bob"]


def test_a_switch_that_restarts_has_nobody(tmp_path: Path) -> None:
    """Accounting-On: whoever was there before is not there any more; those of another switch are."""
    made, kept = store(tmp_path)
    take(kept, START)
    take(kept, START, session="S2", nas="ap-2", name="bob", mac="02:00:00:00:00:01", addresses=())
    take(kept, START, status=Status.RESTARTED, at=NOW + 5, name="")
    assert [each.key for each in there(made)] == ["bob"]


def test_nobody_counts_before_that_is_settled(tmp_path: Path) -> None:
    """S-09: a log-in is known at once, and believed once account and agreement are."""
    made, kept = store(tmp_path)
    kept.take(START, NOW, NOW + 1500)
    assert there(made) == []
    kept.settle("AMY", counts=True)
    kept.take(replace(START, status=Status.INTERIM, at=NOW + 1), NOW, NOW + 1500)
    assert len(there(made)) == 1
    kept.take(replace(START, status=Status.INTERIM, at=NOW + 2, name="bob"), NOW, NOW + 1500)
    assert there(made) == []


def test_what_is_long_over_is_forgotten(tmp_path: Path) -> None:
    """The table stays as small as the school."""
    made, kept = store(tmp_path)
    take(kept, START, status=Status.STOP)
    take(kept, START, session="S9", at=NOW + 601)
    with made.database.reading() as db:
        assert db.execute("SELECT count(*) FROM announced").fetchone() == (1,)
