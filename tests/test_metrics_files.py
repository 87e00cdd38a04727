"""A full disk costs numbers, and never a process (F4)."""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from appliance import metrics_files
from appliance.metrics import HELD_SECONDS, Metrics
from appliance.metrics_files import FIRST_SIZE, roomy

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test be the first that hears of a full disk."""
    monkeypatch.setattr(metrics_files._process, "complained", False)


class Disk:
    """A disk with room for so many bytes of one file."""

    def __init__(self, room: int) -> None:
        self.room = room

    def allocate(self, _file: int, _offset: int, size: int) -> None:
        if size > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")


def opened(path: Path) -> Any:
    """Return a file of numbers; the library's own class has no types."""
    kind: Any = roomy()
    return kind(str(path))


def read(path: Path) -> dict[str, float]:
    """Return what another process reads in the file."""
    kind: Any = MmapedDict
    found = kind.read_all_values_from_file(str(path))
    return {key: value for key, value, _, _ in found}


def test_numbers_are_read_and_written_as_the_library_does(tmp_path: Path) -> None:
    """With room on the disk nothing is different, also when a file grows."""
    path = tmp_path / "counter_1.db"
    numbers = opened(path)
    keys = [f"{number:04}{'x' * 100}" for number in range(1000)]
    for number, key in enumerate(keys):
        assert numbers.read_value(key) == (0.0, 0.0)
        numbers.write_value(key, float(number), 1.0)
    assert read(path) == {key: float(number) for number, key in enumerate(keys)}
    size = path.stat()
    assert size.st_blocks * 512 >= size.st_size > FIRST_SIZE  # no holes: nothing can be written into one
    numbers.close()
    again = opened(path)
    assert again.read_value(keys[7]) == (7.0, 1.0)
    again.close()


@pytest.mark.parametrize("room", [0, FIRST_SIZE])
def test_what_finds_no_room_is_kept_in_memory_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    """A worker on a full disk goes on counting; the technician reads once what to do."""
    monkeypatch.setattr(os, "posix_fallocate", Disk(room).allocate)
    path = tmp_path / "counter_1.db"
    caplog.set_level(logging.WARNING)
    numbers = opened(path)
    keys = [f"{number:04}{'x' * 100}" for number in range(1000)]
    for key in keys:
        assert numbers.read_value(key) == (0.0, 0.0)
        numbers.write_value(key, 5.0, 0.0)
        assert numbers.read_value(key) == (5.0, 0.0)
    assert len([record for record in caplog.records if "make room" in record.message]) == 1
    assert path.exists() is bool(room)  # an empty file would be one that nobody can read
    if room:
        assert 100 < len(read(path)) < 1000
        assert path.stat().st_size == FIRST_SIZE
    numbers.close()


def test_a_folder_that_cannot_be_used_is_no_fault(tmp_path: Path) -> None:
    """Where there is not even room for a name, the numbers are in memory."""
    numbers = opened(tmp_path / "missing" / "counter_1.db")
    assert numbers.read_value("a") == (0.0, 0.0)
    numbers.close()


def test_the_library_makes_its_files_where_we_replace_them() -> None:
    """A newer library that looks elsewhere would bring its holes back."""
    assert "MmapedDict(filename)" in inspect.getsource(values.MultiProcessValue)
    assert hasattr(values, "MmapedDict")


COUNTING = """
import sys
from pathlib import Path
from appliance.metrics import Metrics
from tests.doubles.events import BLOCKED
metrics = Metrics(Path(sys.argv[1]))
metrics.know(profiles=["ks2"], categories=[f"c{n}" for n in range(2000)])
for number in range(2000):
    metrics.request(BLOCKED.__class__(**{**{f: getattr(BLOCKED, f) for f in BLOCKED.__dataclass_fields__},
                                         "category": f"c{number}"}))
    metrics.decided(0.1)
metrics.text()
print("counted")
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 100_000, 300_000])
def test_a_process_on_a_full_disk_lives(small_disk: Path, left: int) -> None:
    """A process that counts on a full disk, or fills one by counting, is not killed by it (SIGBUS)."""
    with (small_disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (512 << 10) - 8192 - left)
    command = [sys.executable, "-c", COUNTING, str(small_disk / "metrics")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "counted\n"), done.stderr


@pytest.mark.slow
async def test_durations_are_gathered_for_a_moment_and_none_is_lost() -> None:
    """A lesson's thousands of requests write a few numbers a second, and the end of a worker loses none."""
    metrics = Metrics()
    for _ in range(5):
        metrics.decided(0.00003)
        metrics.added_latency(0.002)
    written = metrics._made["gateway_decision_seconds"]._sum.get
    assert written() == 0.0
    metrics.flush()
    assert written() == pytest.approx(0.00015)
    metrics.flush()
    text = metrics.text()
    assert "gateway_decision_seconds_count 5.0" in text
    assert 'gateway_added_latency_seconds_bucket{le="0.002"} 5.0' in text
    metrics.decided(0.1)
    await asyncio.sleep(HELD_SECONDS + 0.1)
    assert written() == pytest.approx(0.10015)
