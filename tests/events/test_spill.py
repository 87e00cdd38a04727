"""Tests of the second place for flagged events."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from appliance.events.record import Entry, from_access
from appliance.events.spill import RESERVE, ROTATE, Spill
from tests.doubles.events import BLOCKED, access


def events(*numbers: int) -> list[Entry]:
    """Return flagged events as they are spilled."""
    return [from_access(access(number, BLOCKED)) for number in numbers]


def claimed(spill: Spill) -> list[Entry]:
    """Take in everything that nobody holds."""
    found: list[Entry] = []
    for path in spill.waiting():
        claim = spill.claim(path)
        if claim is not None:
            found += claim.entries
            claim.done()
    return found


def test_what_was_spilled_is_taken_in_once(tmp_path: Path) -> None:
    """Each spilled event comes back exactly once, in its order, and its file is gone."""
    spill = Spill(tmp_path)
    spill.append(events(1))
    spill.append(events(2, 3))
    spill.release()
    assert claimed(spill) == events(1, 2, 3)
    assert claimed(spill) == []
    assert spill.waiting() == []


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    """Nobody takes a file away under the process that still writes to it."""
    living, other = Spill(tmp_path), Spill(tmp_path)
    living.append(events(1))
    assert claimed(other) == []
    living.append(events(2))
    living.release()
    assert claimed(other) == events(1, 2)


def test_two_cannot_take_the_same_file(tmp_path: Path) -> None:
    """Two workers that tidy at once do not record an event twice."""
    spill = Spill(tmp_path)
    spill.append(events(1))
    spill.release()
    (path,) = spill.waiting()
    first = spill.claim(path)
    assert first is not None
    assert Spill(tmp_path).claim(path) is None
    first.leave()
    second = spill.claim(path)
    assert second is not None
    second.done()
    assert spill.claim(path) is None


def test_the_half_line_of_a_power_cut_is_ignored(tmp_path: Path) -> None:
    """What was never acknowledged does not damage what was."""
    spill = Spill(tmp_path)
    spill.append(events(1))
    spill.release()
    (path,) = spill.waiting()
    path.write_bytes(path.read_bytes() + b'{"access":{"refer')
    assert claimed(spill) == events(1)
    assert list(tmp_path.glob("*.unreadable")) == []


def test_an_unreadable_line_is_kept_for_a_technician(tmp_path: Path) -> None:
    """A damaged line in the middle costs itself alone, and is not thrown away."""
    spill = Spill(tmp_path)
    spill.append(events(1))
    spill.append(events(2))
    spill.release()
    (path,) = spill.waiting()
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, b"\xff\xfe rubbish", second, b""]))
    assert claimed(spill) == events(1, 2)
    (kept,) = tmp_path.glob("*.unreadable")
    assert b"rubbish" in kept.read_bytes()
    assert spill.waiting() == []


class _NarrowSpill(Spill):
    """A spill file on a disk that takes `room` bytes, and some more when the reserve is given up."""

    room = 0

    def _write(self, data: bytes) -> None:
        if len(data) > self.room + (0 if self.reserved else RESERVE):
            raise OSError(errno.ENOSPC, "no space")
        super()._write(data)

    @property
    def reserved(self) -> bool:
        return (self._folder / "reserve").exists()


def test_a_full_disk_gives_up_its_reserve_first(tmp_path: Path) -> None:
    """Some space is kept back, so that flagged events still find room on a full disk."""
    spill = _NarrowSpill(tmp_path)
    assert (tmp_path / "reserve").stat().st_size == RESERVE
    spill.append(events(1))
    assert not spill.reserved
    spill.release()
    assert claimed(spill) == events(1)
    spill.keep_reserve()
    assert spill.reserved


def test_a_full_disk_without_reserve_is_said(tmp_path: Path) -> None:
    """When nothing takes the event any more, the caller hears of it and can answer "closed"."""
    spill = _NarrowSpill(tmp_path)
    spill.room = -RESERVE
    with pytest.raises(OSError, match="no space"):
        spill.append(events(1))


def test_a_failed_line_leaves_no_half_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a write that failed in the middle, the next good line is still a line of its own."""
    spill = Spill(tmp_path)
    spill.append(events(1))
    write = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) > 10:
            return write(file, data[:-9])
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as within:
        within.setattr(os, "write", half)
        with pytest.raises(OSError, match="broken"):
            spill.append(events(2))
    spill.append(events(3))
    spill.release()
    assert claimed(spill) == events(1, 3)


@pytest.mark.slow
def test_a_long_outage_makes_several_files(tmp_path: Path) -> None:
    """Taking one file in stays a short transaction, however long the database was away."""
    spill = Spill(tmp_path)
    many = events(*range(700))
    for _ in range(4):
        spill.append(many)
    spill.release()
    assert len(spill.waiting()) > 1
    assert max(path.stat().st_size for path in spill.waiting()) < 2 * ROTATE
    assert len(claimed(spill)) == 2_800


def test_spilled_events_are_private(tmp_path: Path) -> None:
    """Names and addresses in the spill file are for the gateway alone."""
    spill = Spill(tmp_path / "spill")
    spill.append(events(1))
    assert stat.S_IMODE((tmp_path / "spill").stat().st_mode) == 0o700
    assert stat.S_IMODE(spill.waiting()[0].stat().st_mode) == 0o600
    spill.release()
