"""Floor hits among workers."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.events.hits import HITS_FILE, SLOTS, Hits

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECRET = "http://unspeakable.example/page"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / HITS_FILE


def test_each_worker_hears_of_all_hits_once(path: Path) -> None:
    """What one worker counts, the other counts as well: two workers do not give twice as many guesses."""
    one, two = Hits(path), Hits(path)
    one.tell("10.0.0.1", "a", NOW)
    two.tell("2001:db8::1", "b", NOW + timedelta(seconds=1))
    for worker in (one, two):
        assert [(client, when) for client, _, when in worker.news()] == [
            ("10.0.0.1", NOW),
            ("2001:db8::1", NOW + timedelta(seconds=1)),
        ]
        assert not worker.news()


def test_a_worker_that_starts_anew_knows_what_was(path: Path) -> None:
    """Making a worker die does not wipe the count."""
    worker = Hits(path)
    worker.tell("10.0.0.1", "a", NOW)
    worker.close()
    assert len(list(Hits(path).news())) == 1


def test_the_same_address_has_the_same_mark_in_each_worker(path: Path) -> None:
    """A browser that asks for one page in several steps counts once, whichever workers it reaches."""
    one, two = Hits(path), Hits(path)
    one.tell("c", SECRET, NOW)
    two.tell("c", SECRET, NOW)
    assert len({mark for _, mark, _ in one.news()}) == 1


def test_no_address_is_kept(path: Path) -> None:
    """The file is for its owner alone, and says nothing about what is on the lists."""
    Hits(path).tell("10.0.0.1", SECRET, NOW)
    assert b"unspeakable" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_the_ring_is_bounded(path: Path) -> None:
    """A flood of hits neither fills the disk nor hides the last ones."""
    worker, late = Hits(path), Hits(path)
    size = path.stat().st_size
    for number in range(SLOTS + 5):
        worker.tell(str(number), "a", NOW)
    heard = list(late.news())
    assert len(heard) == SLOTS
    assert heard[-1][0] == str(SLOTS + 4)
    assert path.stat().st_size == size


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\xff" * 400_000])
def test_a_damaged_file_is_made_anew(path: Path, damage: bytes) -> None:
    """A power cut amid its making does not stop a worker."""
    path.write_bytes(damage)
    worker = Hits(path)
    worker.tell("c", "a", NOW)
    assert [client for client, _, _ in worker.news()] == ["c"]


def _tell(path: Path, name: str, count: int) -> None:
    worker = Hits(path)
    for number in range(count):
        worker.tell(name, str(number), NOW)


@pytest.mark.slow
def test_two_processes_lose_nothing(path: Path) -> None:
    """Workers that count at the same moment do not overwrite each other."""
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_tell, args=(path, name, 300)) for name in ("a", "b")]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    heard = [client for client, _, _ in Hits(path).news()]
    assert (heard.count("a"), heard.count("b")) == (300, 300)
