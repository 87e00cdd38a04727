"""The locked floor."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.catalogue import FloorEntry
from appliance.lists.lock import lock_floor
from appliance.lists.locked import LockedFloor
from appliance.lists.paths import Paths
from appliance.model.known import Floor, FloorState
from appliance.model.url import parse_typed, parse_url

HOUR = 3600.0
TEXT = """\
# comment
http://floor.example/a/page.html
http://floor.example/folder/
http://floor.example/query?item=1
whole.example
192.0.2.66
"""


class Clock:
    now = 1000 * HOUR

    def __call__(self) -> float:
        return self.now


def _lock(state: Path, *texts: str, at: float = Clock.now) -> Paths:
    sources = []
    for number, text in enumerate(texts):
        source = state / f"source{number}"
        source.write_text(text)
        category = ("csam", "terrorism")[number]
        sources.append(
            (
                FloorEntry(id=f"list{number}", title="t", category=category, mode="development", source="s"),
                source,
            )
        )
    lock_floor(sources, [], Paths(state), at)
    return Paths(state)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def floor(tmp_path: Path, clock: Clock) -> LockedFloor:
    return LockedFloor(_lock(tmp_path, TEXT, "http://floor.example/unlawful\n"), 48.0, clock)


def _check(floor: LockedFloor, address: str) -> Floor:
    return floor.check(parse_url(address) if "://" in address else parse_typed(address))


@pytest.mark.parametrize(
    ("address", "hit"),
    [
        ("floor.example/a/page.html", True),
        ("floor.example/a/page.html?x=1", True),
        ("https://FLOOR.example.:8443/a/./b/../%70age.html#x", True),
        ("http://user:pass@floor.example//a/page.html", True),
        ("sub.floor.example/a/page.html", True),
        ("floor.example/a/", False),
        ("floor.example/a/page2.html", False),
        ("floor.example", False),
        ("floor.example/folder/deep/er/than/the/specification/goes/x.jpg", True),
        ("floor.example/folder", True),
        ("floor.example/folders", False),
        ("floor.example/query?item=1", True),
        ("floor.example/query?item=2", False),
        ("whole.example", True),
        ("any.sub.whole.example/x?y", True),
        ("notwhole.example", False),
        ("http://0xC0000242/x", True),
        ("http://192.0.2.67/", False),
    ],
)
def test_pages_folders_and_hosts(floor: LockedFloor, address: str, *, hit: bool) -> None:
    """The IWF lists pages, not only hosts: just what is listed is hit, in every spelling (S-18, IWF-3)."""
    assert _check(floor, address).hit is hit


def test_a_hit_says_which_list_and_nothing_else(floor: LockedFloor) -> None:
    """List, version and category are told; no entry and no address."""
    found = _check(floor, "floor.example/unlawful")
    assert (found.list, found.category, found.state) == ("list1", "terrorism", FloorState.OK)
    assert found.version.startswith("hmac:")
    assert "floor.example" not in repr(found)


def test_the_development_list_says_what_it_is(floor: LockedFloor) -> None:
    """Every answer carries in plain words that this is not compliance (DFE-F3)."""
    assert "not compliance" in _check(floor, "a.example").detail
    assert floor.manifest is not None
    assert floor.manifest.synthetic


def test_an_old_floor_is_stale_and_still_hits(floor: LockedFloor, clock: Clock) -> None:
    """Past its limit the gate closes, without a restart; what is listed is still named (B7)."""
    clock.now += 48 * HOUR
    assert _check(floor, "a.example").state is FloorState.OK
    clock.now += 1
    assert _check(floor, "a.example").state is FloorState.STALE
    assert "older than 48 hours" in _check(floor, "a.example").detail
    assert _check(floor, "whole.example").hit


def test_a_floor_from_the_future_is_stale(floor: LockedFloor, clock: Clock) -> None:
    """A date that was wrong when it was compiled cannot keep a list fresh for years."""
    clock.now -= 25 * HOUR
    assert _check(floor, "a.example").state is FloorState.STALE


def test_missing_and_unreadable(tmp_path: Path, clock: Clock) -> None:
    """Each way of being gone or damaged has its state, and none lets anything through unjudged."""
    assert LockedFloor(Paths(tmp_path), 48.0, clock).state().state is FloorState.MISSING
    paths = _lock(tmp_path, TEXT)
    whole, key = paths.floor.read_bytes(), paths.floor_key.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        paths.floor.write_bytes(whole[:cut])
        assert LockedFloor(paths, 48.0, clock).state().state is FloorState.UNREADABLE
    paths.floor.write_bytes(whole)
    for wrong in (bytes(32), key[:5]):
        paths.floor_key.write_bytes(wrong)
        assert LockedFloor(paths, 48.0, clock).state().state is FloorState.UNREADABLE
    paths.floor_key.write_bytes(key)
    paths.floor_key.chmod(0o644)
    assert "other users" in LockedFloor(paths, 48.0, clock).state().detail
    paths.floor_key.unlink()
    assert LockedFloor(paths, 48.0, clock).state().state is FloorState.MISSING


def test_reload_recovers(tmp_path: Path, clock: Clock) -> None:
    """A floor that comes back is in force at the next reload, and one that goes is not."""
    floor = LockedFloor(Paths(tmp_path), 48.0, clock)
    paths = _lock(tmp_path, TEXT)
    floor.reload()
    assert _check(floor, "whole.example").hit
    paths.floor.unlink()
    floor.reload()
    assert _check(floor, "whole.example").state is FloorState.MISSING


PATHS = st.lists(st.sampled_from(["a", "b"]), max_size=8).map("/".join)


@settings(max_examples=15)
@given(st.sets(PATHS, max_size=5), PATHS, st.booleans())
def test_look_up_equals_a_naive_matcher(listed: set[str], asked: str, folder: bool) -> None:
    """On random floors a page is hit if it is listed, or lies in a listed folder, however deep."""
    entries = {f"/{path}{'/' if folder and path else ''}" for path in listed}
    page = f"/{asked}"
    expected = any(
        page == entry or page + "/" == entry or (entry[-1] == "/" and page.startswith(entry))
        for entry in entries
    )
    with tempfile.TemporaryDirectory() as state:
        paths = _lock(Path(state), "".join(f"http://x.example{entry}\n" for entry in entries))
        floor = LockedFloor(paths, 48.0, Clock())
        assert floor.check(parse_url(f"http://www.x.example{page}")).hit is expected
