"""Which records of the audit are about steps in one database, and which of those do not count."""

from __future__ import annotations

from pathlib import Path

from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.events.verify_audit import NOT_CARRIED, verify_path

NOW = 1_795_600_800.0


def trails(folder: Path) -> tuple[Trail, Carried]:
    """Return the trail of a school, and what the overrides make of it."""
    trail = Trail(folder)
    return trail, Carried(trail, "overrides", lambda: NOW, typed_by="root")


def test_only_steps_in_its_own_database_are_its_records(tmp_path: Path) -> None:
    """A sign-in, a look, another database's step, or a reason that quotes the mark are none."""
    trail, mine = trails(tmp_path)
    assert mine.newest() == 0
    trail.add("sign-in", "amy", by="amy", at=NOW)
    mine.add("override-granted", "override 1", by="head", at=NOW)
    mine.say("override-report", "override 1", by="head", at=NOW)
    Carried(trail, "changes").add("change-release", "change 1", by="head", at=NOW)
    mine.say("override-report", "override 1", by="head", at=NOW, purpose='"store":"overrides"')
    assert mine.newest() == 2
    assert [entry.get("store") for entry in trail.entries()] == [None, "overrides", None, "changes", None]
    assert trail.entries()[1]["typed_by"] == "root"


def test_what_was_rolled_back_is_told_once_and_the_verifier_says_so(tmp_path: Path) -> None:
    """A governor reads which record did not take effect, with its number, on an export as well."""
    trail, mine = trails(tmp_path)
    mine.add("override-granted", "override 1", by="head", at=NOW)
    mine.add("override-granted", "override 2", by="head", at=NOW)
    mine.add("override-active", "override 2", by="the gateway", at=NOW)
    mine.not_carried(1)
    mine.not_carried(1)  # whoever dies between the note and its database tells it no second time
    told = [entry for entry in trail.entries() if entry["what"] == NOT_CARRIED]
    assert [(one["record"], one["was"], one["whom"]) for one in told] == [
        (2, "override-granted", "override 2"),
        (3, "override-active", "override 2"),
    ]
    report = verify_path(trail.path)
    assert report.findings == []
    assert "record 2 (override-granted, override 2) was not carried out" in report.notes[0]


def test_a_broken_line_is_passed_over(tmp_path: Path) -> None:
    """Whether the file is whole is for verifying to say; a grant must not fail in odd words."""
    trail, mine = trails(tmp_path)
    mine.add("override-granted", "override 1", by="head", at=NOW)
    with trail.path.open("ab") as file:
        file.write(
            b'{"store":"overrides"\n["store":"overrides"]\n[{"store":"overrides"}]\n{"store":"overrides"'
        )
    assert mine.newest() == 1
    trail.path.write_bytes(b"")
    assert mine.newest() == 0
