"""The locked floor."""

from __future__ import annotations

import hmac
import json
import tempfile
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.catalogue import FloorEntry
from appliance.lists.lock import lock_floor
from appliance.lists.locked import BEFORE, FORMAT, LockedFloor, digest_expression, digest_host
from appliance.lists.paths import Paths
from appliance.model.known import Floor, FloorState
from appliance.model.url import parse_typed, parse_url

HOUR = 3600.0
TEXT = """\
# comment
http://floor.example/a/page.html
http://floor.example/folder/
http://floor.example/query?item=1
http://floor.example/two?t=2&f=1
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


@pytest.mark.slow
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
        # what a server may take for the same page, and a pupil may try
        ("floor.example/a/page.html/x", True),
        ("floor.example/a/page.html;x=1", True),
        ("floor.example/a/page.html&x", True),
        ("floor.example/a/page.html%3Bx", True),
        ("floor.example/a/page.html,x", True),
        ("floor.example/a/page.html::$DATA", True),
        ("floor.example/a/page.html.", True),
        ("floor.example/a/page.html%20", True),
        ("floor.example/a/page.html%00.png", True),
        ("floor.example/A/PAGE.html", True),
        ("floor.example/Folder/x", True),
        ("floor.example/folder;x/y", True),
        ("floor.example/a/page.html.bak", False),
        ("floor.example/a/page.htm", False),
        ("floor.example/x/a/page.html", False),
        ("floor.example/query?x=2&item=1", True),
        ("floor.example/query?item=1&x=2", True),
        ("floor.example/query?item=1;x", True),
        ("floor.example/QUERY/?&ITEM=%31", True),
        ("floor.example/query/x?item=1", True),
        ("floor.example/query?item=11", False),
        ("floor.example/query?xitem=1", False),
        ("floor.example/query", False),
        ("floor.example/query2?item=1", False),
        ("floor.example/two?t=2&x&f=1", True),
        ("floor.example/two?F=1&T=2", True),
        ("floor.example/two?t=2", False),
        ("floor.example/two?f=1&t=3", False),
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


def test_a_floor_that_an_older_release_locked_still_hits(tmp_path: Path, clock: Clock) -> None:
    """A supplied list stays in force through an upgrade, until its source is locked anew."""
    paths = _lock(tmp_path, "floor.example\n")
    key, whole = paths.floor_key.read_bytes(), paths.floor.read_bytes()
    head, _, _ = whole.partition(b"\n")
    old = ("floor.example/A/Page?b=2&a=1", "floor.example/Folder/")
    hashes = sorted(digest_expression(key, entry) + b"\0" for entry in old)
    told = json.loads(head) | {"entries": len(old), "hosts": 1, "format": BEFORE}
    body = json.dumps(told).encode() + b"\n" + digest_host(key, "floor.example") + b"\0" + b"".join(hashes)
    paths.floor.write_bytes(body + hmac.digest(key, body, "sha256"))
    floor = LockedFloor(paths, 48.0, clock)
    assert _check(floor, "floor.example/A/Page?b=2&a=1").hit
    assert _check(floor, "floor.example/Folder/x").hit
    assert not _check(floor, "floor.example/A/Page").hit
    entry = FloorEntry(id="list0", title="t", category="csam", mode="development", source="s")
    lock_floor([(entry, None)], [], paths, clock.now)  # nothing new was supplied: it is kept as it is
    floor.reload()
    assert floor.manifest is not None
    assert floor.manifest.format == BEFORE
    assert _check(floor, "floor.example/Folder/x").hit
    _lock(tmp_path, "floor.example/other\n")
    floor.reload()
    assert floor.manifest.format == FORMAT


@pytest.mark.slow
def test_an_address_of_thousands_of_parameters_costs_little(tmp_path: Path, clock: Clock) -> None:
    """Whoever knows a listed page cannot make the filter stand still by asking for it oddly."""
    entries = "".join(f"http://x.example/q?a={n}&b={n}&c={n}\n" for n in range(100))
    floor = LockedFloor(_lock(tmp_path, entries), 48.0, clock)
    many = "&".join(f"p{n}" for n in range(2700))
    started = time.process_time()
    assert not _check(floor, f"http://x.example/q?{many}").hit
    assert _check(floor, f"http://x.example/q?c=7&{many}&a=7&b=7").hit
    assert time.process_time() - started < 1.0


NAMES = st.sampled_from(["a", "Ab", "page.php", "x-1", "b.html"])
ENDS = st.sampled_from(
    ["", "/", "/x", "/x/y.html", ";x", "&x", ";jsessionid=1/2", "%2fx", "%3Bx", ".", "%20", ":x"]
)


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.lists(NAMES, min_size=1, max_size=4),
    st.lists(st.tuples(NAMES, st.sampled_from(["1", "2", "Z"])), max_size=3),
    st.lists(st.sampled_from(["y=1", "z", "", "y=2"]), max_size=3),
    ENDS,
    st.randoms(use_true_random=False),
)
def test_no_other_way_to_write_a_listed_page_escapes(
    names: list[str], query: list[tuple[str, str]], more: list[str], end: str, random: Random
) -> None:
    """Case, path information, order and number of parameters lead nowhere but to the listed page (F5)."""
    page = "/" + "/".join(names)
    pairs = [f"{name}={text}" for name, text in query]
    entry = f"http://x.example{page}{'?' if pairs else ''}{'&'.join(pairs)}"
    mixed = [*pairs, *more]
    random.shuffle(mixed)
    page_as_asked = "".join(random.choice((letter.upper(), letter.lower())) for letter in page)
    asked = f"http://www.x.example{page_as_asked}{end}{'?' if mixed else ''}{'&'.join(mixed)}"
    neighbour = f"http://x.example{page}2{end}?{'&'.join(mixed)}"
    with tempfile.TemporaryDirectory() as state:
        floor = LockedFloor(_lock(Path(state), f"{entry}\n"), 48.0, Clock())
        assert floor.check(parse_url(entry)).hit
        assert floor.check(parse_url(asked)).hit
        assert not floor.check(parse_url(neighbour)).hit
        if pairs:
            assert not floor.check(parse_url(f"http://x.example{page}?{'&'.join(more)}")).hit


PATHS = st.lists(st.sampled_from(["a", "b"]), max_size=8).map("/".join)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.sets(PATHS, max_size=5), PATHS, st.booleans())
def test_look_up_equals_a_naive_matcher(listed: set[str], asked: str, folder: bool) -> None:
    """On random floors a page is hit if it is listed, or lies below what is listed, however deep."""
    entries = {f"/{path}{'/' if folder and path else ''}" for path in listed}
    page = f"/{asked}"
    expected = any(f"{page}/".startswith(entry if entry[-1] == "/" else f"{entry}/") for entry in entries)
    with tempfile.TemporaryDirectory() as state:
        paths = _lock(Path(state), "".join(f"http://x.example{entry}\n" for entry in entries))
        floor = LockedFloor(paths, 48.0, Clock())
        assert floor.check(parse_url(f"http://www.x.example{page}")).hit is expected
