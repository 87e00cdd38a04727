from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
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
    assert [entry["n"] for entry in found] == [1, 2, 3, 4]
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
        place = line + 1 if broken is not altered else line + 2
        with pytest.raises(EventsError, match=rf"audit\.jsonl: .* line {place}:"):
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
    older = tmp_path / "identity" / "audit.jsonl"
    older.parent.mkdir()
    first = (
        b'{"at": "2026-11-21T09:00:00.000+00:00", "what": "freeze", "whom": "amy", "by": "head", "before": "'
    )
    older.write_bytes(first + b"0" * 64 + b'"}\n')
    made = Trail(tmp_path)
    assert len(made.entries()) == 1
    made.add("unfreeze", "amy", by="head", at=NOW)
    assert [entry.get("n") for entry in made.entries()] == [None, 2]
    assert not older.exists()


def test_a_file_without_a_line_at_its_end_is_not_cut_off(tmp_path: Path) -> None:
    """What somebody has put at the end is evidence as well: it is told, and not removed."""
    made = trail(tmp_path)
    with made.path.open("ab") as file:
        file.write(b"x" * 100_000)
    size = made.path.stat().st_size
    with pytest.raises(EventsError, match="restore it"):
        made.add("unfreeze", "pupil 1", by="head", at=NOW)
    assert made.path.stat().st_size == size


def test_a_full_disk_leaves_the_trail_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written is told, and no half record stays behind."""
    made = trail(tmp_path)
    before, whole = made.path.read_bytes(), os.pwrite

    def full(handle: int, data: bytes, offset: int) -> int:
        if len(data) < 60:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(handle, data[:50], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        made.add("unfreeze", "pupil 1", by="head", at=NOW)
    assert made.path.read_bytes() == before


@pytest.mark.slow
def test_many_who_write_at_once_make_one_chain(tmp_path: Path) -> None:
    """The sign-in, a command and the housekeeping write the same file: each waits for its turn."""

    def write(name: str) -> None:
        for number in range(5):
            Trail(tmp_path).add("sign-in", f"{name}{number}", by=name, at=NOW)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(Trail(tmp_path).entries()) == 15


def test_what_the_network_sent_cannot_break_a_record(tmp_path: Path) -> None:
    """A name with line ends, NUL or half a character is one record of one line all the same."""
    made = Trail(tmp_path)
    made.add("locked", "a\r\nb\x00\ud800\u2028", by="the gateway", at=NOW, share=0.1 + 0.2)
    assert made.path.read_bytes().count(b"\n") == 1
    assert made.entries()[0]["share"] == 0.3


def test_the_newest_of_a_kind_is_found_from_the_end(tmp_path: Path) -> None:
    """A start does not wait for a million records to be checked."""
    made = trail(tmp_path)
    assert made.last("approval") is None
    assert Trail(tmp_path / "none").last("freeze") is None
    made.add("note", 'a "what":"freeze" b', by="head", at=NOW)
    newest = made.last("freeze")
    assert newest is not None
    assert newest["whom"] == "pupil 3"


_WRITE = """
import sys
from pathlib import Path
from appliance.events.audit import Trail
trail = Trail(Path(sys.argv[1]))
for number in range(60):
    trail.add("freeze", f"{sys.argv[2]} {number}", by="head", at=1.0)
"""


@pytest.mark.slow
def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    """Issue 6: the supervisor, a worker and a command add records at once, and none is lost."""
    names = ("one", "two", "three")
    started = [subprocess.Popen([sys.executable, "-c", _WRITE, str(tmp_path), name]) for name in names]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    found = [entry["whom"] for entry in Trail(tmp_path).entries()]
    assert len(found) == 180
    for name in names:
        assert [each for each in found if each.startswith(f"{name} ")] == [f"{name} {n}" for n in range(60)]
