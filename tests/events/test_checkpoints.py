from __future__ import annotations

from pathlib import Path

import pytest

from appliance.events.audit import Trail
from appliance.events.checkpoints import Checkpoints, send
from appliance.events.errors import EventsError
from appliance.events.verify_audit import read_checkpoint, read_key_change, verify_path
from tests.doubles.people import NOW


def test_a_checkpoint_says_how_far_the_trail_goes(tmp_path: Path) -> None:
    """What a governor keeps fits the trail, also after more was added, and shows when its end was cut off."""
    trail, points = Trail(tmp_path), Checkpoints(tmp_path, "A  School\nhead: 0")
    trail.add("freeze", "amy", by="head", at=NOW)
    made = points.make(NOW)
    trail.add("unfreeze", "amy", by="head", at=NOW)
    kept = tmp_path / "kept.txt"
    kept.write_text(made.text)
    assert read_checkpoint(made.text, "x").records == made.records == 2
    assert verify_path(trail.path, [kept], [made.fingerprint]).findings == []
    data = trail.path.read_bytes().splitlines(keepends=True)
    trail.path.write_bytes(data[0])
    assert "record 2 is missing" in verify_path(trail.path, [kept]).findings[0]


def test_the_key_is_for_the_gateway_alone_and_made_once(tmp_path: Path) -> None:
    """Whoever has the key can sign a forged trail; that it was made stands in the trail."""
    points = Checkpoints(tmp_path, "A School")
    first, second = points.make(NOW), points.make(NOW + 1)
    assert first.fingerprint == second.fingerprint
    assert (tmp_path / "audit" / "signing.key").stat().st_mode & 0o077 == 0
    keys = [entry for entry in Trail(tmp_path).entries() if entry["what"] == "audit-key"]
    assert [entry["whom"] for entry in keys] == [first.fingerprint]
    assert points.paths() == [first.path, second.path]


def test_a_broken_key_is_told(tmp_path: Path) -> None:
    """A new key is never made in silence in the place of one that cannot be read."""
    points = Checkpoints(tmp_path, "A School")
    points.make(NOW)
    (tmp_path / "audit" / "signing.key").write_text("no key")
    with pytest.raises(EventsError, match="last backup"):
        points.make(NOW)


def test_one_is_due_when_there_is_something_new(tmp_path: Path) -> None:
    """A quiet holiday fills no folder with checkpoints."""
    points = Checkpoints(tmp_path, "A School")
    assert not points.due()
    points.make(NOW)
    assert not points.due()
    Trail(tmp_path).add("freeze", "amy", by="head", at=NOW)
    assert points.due()


def test_a_checkpoint_leaves_the_box(tmp_path: Path) -> None:
    """A copy that lies elsewhere is what shows a trail that was made anew."""
    (tmp_path / "share").mkdir()
    made = Checkpoints(tmp_path / "state", "A School").make(NOW)
    send(made, tmp_path / "share", to_syslog=False)
    assert (tmp_path / "share" / made.path.name).read_text() == made.text
    with pytest.raises(OSError, match="none"):
        send(made, tmp_path / "none", to_syslog=True)


def test_a_new_key_is_followed_and_another_one_is_found(tmp_path: Path) -> None:
    """Issue 6: checkpoints from before and after fit; what the old key signs later does not."""
    trail, points = Trail(tmp_path), Checkpoints(tmp_path, "A School")
    trail.add("freeze", "amy", by="head", at=NOW)
    first = points.make(NOW)
    given_up = (tmp_path / "audit" / "signing.key").read_bytes()
    old, new = points.new_key("the technician has left\x07", "head", NOW + 1)
    second = points.make(NOW + 2)
    assert (first.fingerprint, second.fingerprint) == (old, new)
    folder = tmp_path / "audit"
    for trusted in ([], [old], [new]):
        assert verify_path(folder, [], trusted).findings == []
    (folder / "signing.key").write_bytes(given_up)
    points.make(NOW + 3)
    assert "given up" in verify_path(folder, [], [old]).findings[0]
    assert len(trail.entries()) == 3


def test_a_change_that_the_old_key_has_not_signed_is_found(tmp_path: Path) -> None:
    """Whoever writes a chain anew can name a key of their own; without the old one nothing leads to it."""
    trail, points = Trail(tmp_path), Checkpoints(tmp_path, "A School")
    first = points.make(NOW)
    (tmp_path / "audit" / "signing.key").unlink()
    points.new_key("a stranger's", "stranger", NOW + 1)
    points.make(NOW + 2)
    found = verify_path(tmp_path / "audit", [], [first.fingerprint]).findings
    assert "another key" in found[0]
    record = trail.entries()[-1] | {"old_signature": "AAAA"}
    with pytest.raises(ValueError, match="has not signed"):
        read_key_change(record)


def test_a_power_cut_amid_a_new_key_is_finished_or_undone(tmp_path: Path) -> None:
    """The key on the disk is always the one that the chain names last."""
    points = Checkpoints(tmp_path, "A School")
    folder, old = tmp_path / "audit", points.make(NOW).fingerprint
    before = (folder / "signing.key").read_bytes()
    _, new = points.new_key("the technician has left", "head", NOW + 1)
    (folder / "signing.key").rename(folder / "signing.next")
    (folder / "signing.key").write_bytes(before)
    assert points.make(NOW + 2).fingerprint == new  # the record was written: it is finished
    (folder / "signing.next").write_bytes(before)
    assert points.make(NOW + 3).fingerprint == new  # it was not: the other key is forgotten
    assert not (folder / "signing.next").exists()
    assert old != new
