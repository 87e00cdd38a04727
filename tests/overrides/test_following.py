from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.events.errors import EventsError
from appliance.model.grant import Grant, State
from appliance.overrides.database import Database
from appliance.overrides.following import (
    KEEP_SECONDS,
    PATIENCE,
    RETIRE_SECONDS,
    Clocks,
    Follower,
    Keeper,
    Watch,
    words,
)
from appliance.overrides.store import Overrides
from appliance.overrides.times import moment
from tests.overrides.making import HOUR, NOW, Made, make

OPEN: list[Follower] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Let go of what each test has opened."""
    yield
    while OPEN:
        OPEN.pop().close()


ZONE = ZoneInfo("Europe/London")


@dataclass
class Worker:
    """A follower, its clocks, and what it has been told."""

    made: Made
    wall: float = NOW
    steady: float = 1000.0
    grants: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clocks = Clocks(lambda: self.wall, lambda: self.steady)
        self.follower = Follower(self.made.store, Watch(self.made.database), self.use, ZONE, self.clocks)
        OPEN.append(self.follower)

    def use(self, grants: tuple[Grant, ...], ended: frozenset[int]) -> None:
        self.grants = [grant.number for grant in grants]
        self.ended += sorted(ended)

    async def after(self, seconds: float = 0.0, wall: float | None = None) -> list[int]:
        """Let time go by, look, and return what is in force; `wall` is how far the clock's hands moved."""
        self.steady += seconds
        self.wall += seconds if wall is None else wall
        await self.follower.look()
        return self.grants


async def test_a_grant_and_its_end_reach_every_worker(tmp_path: Path) -> None:
    """In force at the next look, and over to the second, in each worker alike."""
    made = make(tmp_path)
    one, other = Worker(made), Worker(made)
    assert [await one.after(), await other.after()] == [[], []]
    number = made.granted()
    assert [await one.after(0.25), await other.after(0.25)] == [[number], [number]]
    assert await one.after(HOUR - 0.5) == [number]
    assert await one.after(0.25) == []
    assert one.ended == [number]
    assert made.store.get(number).state is State.EXPIRED, "whoever sees it first writes it down"
    assert await other.after(HOUR) == []
    assert other.ended == [number]


async def test_while_the_database_is_locked_a_grant_ends_all_the_same(tmp_path: Path) -> None:
    """Closed to the second, whoever holds the file; and written down once it is free again."""
    made = make(tmp_path)
    number = made.granted()
    worker = Worker(Made(made.database, made.trail, Overrides(Database(tmp_path, patience=0.01), made.trail)))
    with closing(sqlite3.connect(made.database.path, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        assert await worker.after() == [number]
        assert await worker.after(HOUR - 1) == [number]
        assert await worker.after(1) == []
        assert worker.ended == [number]
        assert made.store.get(number).state is State.ACTIVE
    assert await worker.after(0.1) == []
    assert made.store.get(number).state is State.EXPIRED


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), EventsError("damaged")])
async def test_without_an_audit_a_grant_ends_all_the_same(tmp_path: Path, error: Exception) -> None:
    """What cannot be put into the audit closes, and what looks after it goes on looking."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    assert await worker.after() == [number]
    made.trail.broken = error
    assert await worker.after(HOUR) == []
    assert await worker.after(1) == []
    made.trail.broken = None
    assert await worker.after(0.1) == []
    assert made.store.get(number).state is State.EXPIRED


async def test_what_is_revoked_is_cut(tmp_path: Path) -> None:
    """A teacher who closes it sees it closed, with the connections that lived by it."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    assert await worker.after() == [number]
    made.store.revoke(number, by="head", now=NOW + 1, note="")
    assert await worker.after(0.1) == []
    assert worker.ended == [number]


async def test_a_clock_set_back_gives_no_more_time(tmp_path: Path) -> None:
    """By a clock that nobody sets, an hour is an hour; and what has ended stays ended."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    assert await worker.after() == [number]
    assert await worker.after(10, wall=-HOUR) == [number]
    assert await worker.after(HOUR - 20) == [number]
    assert await worker.after(10) == []
    assert await worker.after(10, wall=-9 * HOUR) == []
    assert made.store.get(number).state is State.EXPIRED
    assert await Worker(made, wall=NOW).after() == []


async def test_a_clock_set_forward_ends_it_for_good(tmp_path: Path) -> None:
    """Whoever puts the clock right again has to ask again: closed is the safe side."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    assert await worker.after() == [number]
    assert await worker.after(1, wall=2 * HOUR) == []
    assert await worker.after(1, wall=-2 * HOUR) == []


async def test_a_worker_that_was_down_begins_with_the_truth(tmp_path: Path) -> None:
    """A worker that starts late, or with the clock set back meanwhile, opens no more than was left."""
    made = make(tmp_path)
    first, number = Worker(made), made.granted()
    await first.after()
    keeper = Keeper(made.store, first.follower, first.clocks)
    await first.after(HOUR - 100)
    await keeper.look()
    late = Worker(made, wall=NOW - HOUR, steady=5.0)
    assert await late.after() == [number]
    assert await late.after(99) == [number]
    assert await late.after(2) == []
    assert KEEP_SECONDS <= 10


@pytest.mark.slow
async def test_a_worker_that_was_down_at_the_end_does_not_open_it_again(tmp_path: Path) -> None:
    """What ended while nobody was there to write it down is over for whoever starts, by either clock."""
    made = make(tmp_path)
    made.granted(ends=NOW + 60)
    made.store.keep_left({1: 5.0})
    assert await Worker(made, wall=NOW + 60).after() == []
    assert [step.state.value for step in made.store.steps(1)][-1] == "expired", "written down now"
    other = make(tmp_path / "other")
    number = other.granted(ends=NOW + 60)
    other.store.keep_left({number: 0.0})
    assert await Worker(other, wall=NOW - 3600).after() == []


async def test_the_change_of_the_clocks_moves_no_end(tmp_path: Path) -> None:
    """An hour that the clocks repeat or skip is neither given nor taken: moments have no summer time."""
    made = make(tmp_path)
    for day, hours in (("2026-10-25", 3.0), ("2027-03-28", 1.0)):
        begin, end = moment(f"{day}T00:30", ZONE, NOW), moment(f"{day}T02:30", ZONE, NOW)
        assert end - begin == hours * HOUR
        worker, number = Worker(made, wall=begin), made.granted(starts=begin, ends=end, now=begin)
        assert await worker.after() == [number]
        assert await worker.after(end - begin - 1) == [number]
        assert await worker.after(1) == []


async def test_what_was_kept_for_long_enough_is_forgotten(tmp_path: Path) -> None:
    """The keeper looks at its start and each hour, and a clock set back makes it forget nothing sooner."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    keeper = Keeper(made.store, worker.follower, worker.clocks, keep_days=30)
    made.store.revoke(number, by="head", now=NOW, note="")
    await keeper.look()
    worker.wall += 31 * 24 * HOUR
    await keeper.look()
    assert made.store.get(number).number == number, "within the hour nobody looks"
    worker.steady += RETIRE_SECONDS
    await keeper.look()
    assert made.store.all(over=True) == []


async def test_a_database_that_cannot_be_read_soon_opens_nothing(tmp_path: Path) -> None:
    """What was revoked meanwhile cannot be known, so that after a moment nothing is open by an override."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    assert await worker.after() == [number]
    whole = made.database.path.read_bytes()
    worker.follower._watch.close()
    made.database.path.write_bytes(b"broken" * 4096)
    assert await worker.after(1) == [number]
    assert await worker.after(PATIENCE) == []
    assert worker.ended == [number]
    made.database.path.with_name("overrides.db-wal").unlink(missing_ok=True)
    made.database.path.write_bytes(whole)
    assert await worker.after(1) == [number]


async def test_an_end_that_cannot_be_written_is_an_end_all_the_same(tmp_path: Path) -> None:
    """With a full disk nothing stays open; it is written down as soon as there is room."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    await worker.after()
    made.trail.broken = OSError("full")
    assert await worker.after(HOUR) == []
    assert await worker.after(PATIENCE + 1) == []
    assert made.store.get(number).state is State.ACTIVE
    made.trail.broken = None
    await worker.after(0.1)
    assert made.store.get(number).state is State.EXPIRED


async def test_the_keeper_begins_and_ends_what_nobody_uses(tmp_path: Path) -> None:
    """Also without a worker each override has its begin and its end in the audit."""
    made = make(tmp_path)
    worker = Worker(made)
    number = made.granted(NOW + 60, NOW + HOUR)
    keeper = Keeper(made.store, worker.follower, worker.clocks)
    await keeper.look()
    worker.wall += 61
    worker.steady += 61
    await keeper.look()
    assert made.store.get(number).state is State.ACTIVE
    worker.wall += HOUR
    await keeper.look()
    assert [entry["what"] for entry in made.trail.kept][-2:] == ["override-active", "override-expired"]


async def test_looking_for_ever_lets_go_at_its_end(tmp_path: Path) -> None:
    """A worker that ends leaves no file open."""
    made = make(tmp_path)
    worker, number = Worker(made), made.granted()
    seen = asyncio.Event()
    tell = worker.use

    def told(grants: tuple[Grant, ...], ended: frozenset[int]) -> None:
        tell(grants, ended)
        seen.set()

    worker.follower._use = told
    task = asyncio.create_task(worker.follower.follow())
    await seen.wait()
    assert worker.grants == [number]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert worker.follower._watch._db is None


def test_the_words_say_who_until_when_and_why(tmp_path: Path) -> None:
    """Whoever reads the log sees on whose word a site was open."""
    made = make(tmp_path)
    said = words(made.store.get(made.granted()), ZONE)
    assert said == (
        "Opened until 2026-11-25 11:00 by mrs.jones (teacher) for Year 5 maths: We compare two sites."
    )
