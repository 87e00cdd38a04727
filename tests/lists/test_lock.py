"""Turning statutory lists into keyed hashes."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from appliance.lists.catalogue import FloorEntry
from appliance.lists.lock import lock_floor
from appliance.lists.locked import LockedFloor, Manifest
from appliance.lists.paths import Paths
from appliance.lists.unpack import SourceError
from appliance.model.url import parse_typed

ENTRY = FloorEntry(id="iwf", title="Stand-in", category="csam", mode="development", source="floor.txt")
HELP = [parse_typed("help.example"), parse_typed("www.nhs.example/mind")]


def _lock(tmp_path: Path, text: str) -> Manifest:
    source = tmp_path / "floor.txt"
    source.write_text(text, "utf-8")
    return lock_floor([(ENTRY, source)], HELP, Paths(tmp_path / "state"), 100.0)


def _hit(tmp_path: Path, address: str) -> bool:
    return LockedFloor(Paths(tmp_path / "state"), 48.0, lambda: 100.0).check(parse_typed(address)).hit


@pytest.mark.parametrize(
    "entry", ["help.example", "http://help.example/", "nhs.example", "www.nhs.example/mind", "*.help.example"]
)
def test_what_would_cover_a_help_line_is_left_out(tmp_path: Path, entry: str) -> None:
    """Never block help: such an entry is counted, not taken, and not shown."""
    manifest = _lock(tmp_path, f"{entry}\nbad.example\n")
    assert (manifest.lists[0].entries, manifest.lists[0].quarantined) == (1, 1)
    assert not _hit(tmp_path, "help.example")
    assert not _hit(tmp_path, "www.nhs.example/mind")
    assert _hit(tmp_path, "bad.example")


@pytest.mark.parametrize("entry", ["com", "ac.uk", "http://blogspot.com/", "xn", "ftp://a.example/", "a b"])
def test_poison_is_left_out(tmp_path: Path, entry: str) -> None:
    """A public suffix or rubbish on a statutory list does not close the web."""
    manifest = _lock(tmp_path, f"{entry}\n")
    assert (manifest.entries, manifest.lists[0].quarantined) == (0, 1)


def test_one_page_on_a_shared_host_is_taken(tmp_path: Path) -> None:
    """The IWF lists pages: one on a free hosting site is blocked, its neighbours are not (IWF-3)."""
    _lock(tmp_path, "http://blogspot.com/one\nhttp://a.blogspot.com/two\n")
    assert _hit(tmp_path, "blogspot.com/one")
    assert _hit(tmp_path, "a.blogspot.com/two")
    assert not _hit(tmp_path, "a.blogspot.com/three")
    assert not _hit(tmp_path, "b.blogspot.com")


def test_no_entry_is_written_logged_or_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that is written holds an entry, nor its unkeyed hash (IWF-8)."""
    caplog.set_level(logging.DEBUG)
    _lock(tmp_path, "http://unspeakable.example/page\nhttp://a b/unspeakable\n")
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert b"unspeakable" not in path.read_bytes()
    assert "unspeakable" not in capsys.readouterr().out + caplog.text


def test_two_machines_share_no_hash(tmp_path: Path) -> None:
    """The key is the machine's own: a table of hashes made elsewhere is of no use."""
    bodies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _lock(tmp_path / name, "http://bad.example/page\n")
        bodies.append((tmp_path / name / "state" / "lists" / "floor.bin").read_bytes().partition(b"\n")[2])
    assert bodies[0] != bodies[1]


def test_files_are_for_the_owner_alone_and_the_key_stays(tmp_path: Path) -> None:
    """Mode 0600 for both, also where somebody had opened the key; a second compile keeps the key."""
    _lock(tmp_path, "bad.example\n")
    paths = Paths(tmp_path / "state")
    key = paths.floor_key.read_bytes()
    paths.floor_key.chmod(0o644)
    _lock(tmp_path, "bad.example\n")
    assert paths.floor_key.read_bytes() == key
    assert {stat.S_IMODE(path.stat().st_mode) for path in (paths.floor, paths.floor_key)} == {0o600}


def test_a_missing_source_leaves_the_old_floor(tmp_path: Path) -> None:
    """A failed update changes nothing, and its message names the file only."""
    _lock(tmp_path, "bad.example\n")
    with pytest.raises(SourceError, match="nothing"):
        lock_floor([(ENTRY, tmp_path / "nothing.txt")], HELP, Paths(tmp_path / "state"), 200.0)
    assert _hit(tmp_path, "bad.example")
