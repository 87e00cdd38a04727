"""What processes do when files change while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance import watching
from appliance.config.problems import Problem, ProblemsError
from appliance.config.snapshots import Snapshots
from appliance.lists.lists import Lists
from appliance.model.profile import Policy
from appliance.watching import tell_problems, watch_edits, watch_lists, watch_policy

type Watched = tuple[Snapshots, Path]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return a small published policy and the profile that it holds."""
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.01)
    folder = tmp_path / "profiles" / "school"
    folder.mkdir(parents=True)
    (folder / "set.yaml").write_text(
        "set: school\ntitle: School\ntimezone: Europe/London\nstrictest: ks2\n", encoding="utf-8"
    )
    profile = folder / "ks2.yaml"
    profile.write_text(
        "profile: ks2\ntitle: Key Stage 2\naudience: ks2\n"
        "unknown: {action: allow, because: Nobody knows this site.}\n"
        "rules:\n  games: {rating: unacceptable, because: Games are for the break.}\n",
        encoding="utf-8",
    )
    categories = tmp_path / "categories.yaml"
    categories.write_text(
        "categories:\n  games: {title: Games, severity: low, risk: content, plain: games, simple: games, "
        'standards: ["W:472"]}\n',
        encoding="utf-8",
    )
    store = Snapshots(tmp_path / "state", tmp_path / "profiles", categories)
    store.publish()
    return store, profile


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for are files, which set no event
            await asyncio.sleep(0.005)


async def while_it_watches(watch: Awaitable[None], scenario: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(watch)
    try:
        await scenario()
    finally:
        task.cancel()


def change(profile: Path) -> None:
    profile.write_text(profile.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")


@pytest.mark.slow
async def test_a_published_policy_is_put_in_force(watched: Watched) -> None:
    """An edit reaches every worker within a second."""
    store, profile = watched
    used: list[Policy] = []

    async def scenario() -> None:
        await asyncio.sleep(0.02)
        assert used == []
        change(profile)
        version = store.publish().version
        await until(lambda: used)
        assert used[0].version == version

    await while_it_watches(watch_policy(store, store.current(), used.append), scenario)


async def test_a_policy_published_while_the_worker_started_is_not_missed(watched: Watched) -> None:
    """An edit in the moment of a worker's start is in force there as everywhere."""
    store, _ = watched
    used: list[Policy] = []
    await while_it_watches(
        watch_policy(store, "the version from before", used.append), lambda: until(lambda: used)
    )


@pytest.mark.slow
async def test_a_copy_that_cannot_be_read_leaves_the_policy_in_force(watched: Watched) -> None:
    """A damaged copy changes nothing, and the next good one is taken."""
    store, profile = watched
    used: list[Policy] = []
    pointer = store._store / "current"

    async def scenario() -> None:
        for junk in (b"sha256:gone\n", b"\xff\xfe"):
            pointer.write_bytes(junk)
            await asyncio.sleep(0.05)
        assert used == []
        change(profile)
        store.publish()
        await until(lambda: used)

    await while_it_watches(watch_policy(store, store.current(), used.append), scenario)


@pytest.mark.slow
async def test_edits_are_published_or_told(watched: Watched) -> None:
    """A good edit is in force by itself; a broken one changes nothing and is told once."""
    store, profile = watched
    good = profile.read_text(encoding="utf-8")
    changed: list[Policy] = []
    broken: list[ProblemsError | OSError] = []
    first = store.current()

    async def scenario() -> None:
        await asyncio.sleep(0.1)
        assert (changed, broken) == ([], [])
        profile.write_text("profile: [", encoding="utf-8")
        await until(lambda: broken)
        await asyncio.sleep(0.1)
        assert (len(broken), changed, store.current()) == (1, [], first)
        profile.write_text(f"{good}# better\n", encoding="utf-8")
        await until(lambda: changed)
        assert store.current() == changed[0].version != first
        assert len(changed) == len(broken) == 1

    await while_it_watches(watch_edits(store, changed.append, broken.append), scenario)


async def test_an_edit_made_while_the_gateway_started_is_not_missed(watched: Watched) -> None:
    """What was saved between the first reading and the watching is in force all the same."""
    store, profile = watched
    change(profile)
    changed: list[Policy] = []
    await while_it_watches(watch_edits(store, changed.append, lambda _: None), lambda: until(lambda: changed))


async def test_lists_are_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was compiled anew is in force within a second."""
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.001)
    refreshed: list[bool] = []

    class Counting(Lists):
        def __init__(self) -> None:
            """Open nothing."""

        def refresh(self) -> bool:
            refreshed.append(True)
            return len(refreshed) == 2

    changed: list[int] = []
    work = watch_lists(Counting(), lambda: changed.append(len(refreshed)))
    await while_it_watches(work, lambda: until(lambda: len(refreshed) > 3))
    assert changed == [2], "what was allowed by the old lists is judged again"


def test_what_is_wrong_with_an_edit_is_said_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """The technician at the terminal reads that nothing changed, and every problem at its line."""
    tell_problems(ProblemsError([Problem("a.yaml", 1, 2, "wrong"), Problem("b.yaml", 3, 4, "also wrong")]))
    said = capsys.readouterr().err
    assert "the policy from before stays" in said
    assert "a.yaml:1:2: wrong\nb.yaml:3:4: also wrong\n" in said
