from __future__ import annotations

from pathlib import Path

import pytest

from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from tests.doubles.people import NOW


def trail(folder: Path) -> Trail:
    made = Trail(folder)
    for number in range(4):
        made.add("freeze", f"pupil {number}", by="head", at=NOW + number, reason="x" * 5_000, until=None)
    return made


def test_an_entry_says_who_did_what_to_whom(tmp_path: Path) -> None:
    """S-60: what was done can be shown later, in order."""
    found = trail(tmp_path).entries()
    assert [entry["whom"] for entry in found] == [f"pupil {number}" for number in range(4)]
    assert len(found[0]["reason"]) == 1_000
    assert "until" not in found[0]
    assert Trail(tmp_path / "none").entries() == []


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_or_missing_line_is_found(line: int, tmp_path: Path) -> None:
    """Evidence: whoever edits the trail is found out, with the line."""
    made = trail(tmp_path)
    lines = made.path.read_bytes().splitlines(keepends=True)
    altered = [*lines]
    altered[line] = lines[line].replace(b"head", b"nobody")
    for broken in (altered, lines[:line] + lines[line + 1 :]):
        made.path.write_bytes(b"".join(broken))
        with pytest.raises(
            EventsError, match=rf"audit\.jsonl:{line + 1 if broken is not altered else line + 2}"
        ):
            made.entries()


def test_a_line_that_a_power_cut_left_half_is_no_line(tmp_path: Path) -> None:
    """After a power cut the trail goes on, and stays whole."""
    made = trail(tmp_path)
    with made.path.open("ab") as file:
        file.write(b'{"at": "2026')
    made.add("unfreeze", "pupil 1", by="head", at=NOW)
    assert len(made.entries()) == 5


def test_a_trail_of_an_older_release_goes_on_where_it_is_now(tmp_path: Path) -> None:
    """Nothing is lost when the file moves: what was there is read, and the chain continues."""
    made = trail(tmp_path)
    (tmp_path / "identity").mkdir()
    made.path.rename(tmp_path / "identity" / "audit.jsonl")
    assert len(made.entries()) == 4
    made.add("unfreeze", "pupil 1", by="head", at=NOW)
    assert len(made.entries()) == 5
    assert not (tmp_path / "identity" / "audit.jsonl").exists()


def test_a_file_without_a_line_at_its_end_is_not_cut_off(tmp_path: Path) -> None:
    """What somebody has put at the end is evidence as well: it is told, and not removed."""
    made = trail(tmp_path)
    with made.path.open("ab") as file:
        file.write(b"x" * 100_000)
    size = made.path.stat().st_size
    with pytest.raises(EventsError, match="restore it"):
        made.add("unfreeze", "pupil 1", by="head", at=NOW)
    assert made.path.stat().st_size == size
