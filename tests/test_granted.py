"""Whose a report is, why it is looked at, and that this is noted before anything is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.granted import Granted, Reader
from appliance.overrides.names import NoOverrideError, OverrideError
from appliance.overrides.report import Visit
from appliance.overrides.reports import Reports
from tests.overrides.making import HOUR, NOW, Made, make, wish

TEACHER, LEAD = Reader("Mrs.Jones"), Reader("m.lead", everybody=True)
VISITS = [Visit("Ada", "ks2", "", "bets.example", 3, NOW, NOW + 60)]


def there(tmp_path: Path) -> tuple[Made, Granted]:
    """Return a school with one override of Mrs Jones's that has ended, and one of somebody else's."""
    made = make(tmp_path)
    made.granted()
    made.store.request_and_grant(wish(host="other.example"), "teacher", by="mr.smith", now=NOW)
    made.store.advance(NOW + HOUR)
    reports = Reports(made.database, made.trail)
    for number in (1, 2):
        reports.keep(number, VISITS, now=NOW + HOUR + 10)
    return made, Granted(made.store, reports, lambda: NOW + HOUR + 20)


def test_nobody_reads_of_a_grant_that_is_not_theirs(tmp_path: Path) -> None:
    """S-23: another teacher's number and one that is not there sound alike, and nothing is noted of them."""
    made, granted = there(tmp_path)
    before = len(made.trail.kept)
    assert [one.override.number for one in granted.all(TEACHER)] == [1]
    said = set()
    for number in (2, 99):
        with pytest.raises(NoOverrideError) as told:
            granted.look(TEACHER, number, "to see how it was used", address="10.20.0.1")
        said.add(str(told.value).replace(str(number), "N").partition(";")[0])
        with pytest.raises(NoOverrideError):
            granted.find(Reader(""), number)
    assert len(made.trail.kept) == before
    assert [one.override.number for one in granted.all(LEAD)] == [2, 1]


def test_a_look_is_in_the_audit_before_anything_is_shown(tmp_path: Path) -> None:
    """S-52: with who, when, why and from where; where that fails nobody has seen anything."""
    made, granted = there(tmp_path)
    made.trail.broken = OSError("No space left on device")
    with pytest.raises(OSError, match="No space"):
        granted.look(TEACHER, 1, "to see", address="10.20.0.1")
    made.trail.broken = None
    assert granted.look(TEACHER, 1, " to\u200b see ", address="10.20.0.1").visits == VISITS
    looked = made.trail.kept[-1]
    assert (looked["what"], looked["whom"], looked["by"]) == ("override-report", "override 1", "Mrs.Jones")
    assert (looked["purpose"], looked["address"]) == ("to see", "10.20.0.1")
    kept = granted.find(TEACHER, 1).kept
    assert kept is not None
    assert kept.read_at is not None
    granted.look(LEAD, 2, "a complaint", address="")
    kept = granted.find(LEAD, 2).kept
    assert kept is not None
    assert kept.read_at is None  # the lead's look is not Mr Smith's


@pytest.mark.parametrize("purpose", ["", "  \t\n", "\u200b\u2060", "...", "\u202e\x00"])
def test_a_purpose_of_blanks_is_none(tmp_path: Path, purpose: str) -> None:
    """What nobody can see in the audit explains nothing to a governor."""
    made, granted = there(tmp_path)
    before = len(made.trail.kept)
    with pytest.raises(OverrideError, match="why you look"):
        granted.look(TEACHER, 1, purpose, address="")
    assert len(made.trail.kept) == before


def test_whoever_has_a_name_anew_reads_nothing_of_before(tmp_path: Path) -> None:
    """A new colleague who is given the name of one who has left is not the one who granted it."""
    _, granted = there(tmp_path)
    later = Reader("mrs.jones", since=NOW + 2 * HOUR)
    assert granted.all(later) == []
    assert not granted.any(later.name, later.since)
    assert granted.any("MRS.JONES", NOW)
    with pytest.raises(NoOverrideError):
        granted.find(later, 1)


def test_why_there_is_no_report_is_said(tmp_path: Path) -> None:
    """One who waits for it is told whether to wait, to look again, or to fetch somebody."""
    made = make(tmp_path)
    number = made.granted()
    granted = Granted(made.store, Reports(made.database, made.trail), lambda: NOW)
    assert "when it has ended" in granted.find(TEACHER, number).waits(NOW)
    with pytest.raises(OverrideError, match="when it has ended"):
        granted.look(TEACHER, number, "to see", address="")
    made.store.advance(NOW + HOUR)
    one = granted.find(TEACHER, number)
    assert [step.state.value for step in one.steps] == ["requested", "granted", "active", "expired"]
    assert "in a minute" in one.waits(NOW + HOUR + 5)
    assert "your technician" in one.waits(NOW + HOUR + 999)
    with made.database.writing() as db:
        db.execute("INSERT INTO report VALUES (?, 0, 0, 0, 0, 'none', 0)", (number,))
    assert "before reports were kept" in granted.find(TEACHER, number).waits(NOW + HOUR + 999)
