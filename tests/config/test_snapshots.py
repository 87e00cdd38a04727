from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.config.snapshots import Snapshots
from appliance.model.profile import Rating

CATEGORIES = """\
categories:
  games:
    {title: Games, severity: low, risk: content, plain: games, simple: games, standards: ["W:472"]}
"""
SET = "set: school\ntitle: School\ntimezone: Europe/London\nstrictest: ks2\n"
PROFILE = """\
profile: ks2
title: Key Stage 2
audience: ks2
unknown: {action: allow, because: Nobody knows this site.}
rules:
  games: {rating: unacceptable, because: Games are for the break.}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with a technician's files: one set, one profile, one category."""
    folder = tmp_path / "profiles" / "school"
    folder.mkdir(parents=True)
    (folder / "set.yaml").write_text(SET, encoding="utf-8")
    (folder / "ks2.yaml").write_text(PROFILE, encoding="utf-8")
    (tmp_path / "categories.yaml").write_text(CATEGORIES, encoding="utf-8")
    return tmp_path


@pytest.fixture
def snapshots(files: Path) -> Snapshots:
    return Snapshots(files / "state" / "policy", files / "profiles", files / "categories.yaml")


def edit(path: Path) -> None:
    """Save a file with one line more."""
    with path.open("a", encoding="utf-8") as file:
        file.write("# edited\n")


def folders(files: Path) -> set[str]:
    return {path.name for path in (files / "state" / "policy").iterdir() if path.is_dir()}


def ks2(files: Path) -> Path:
    return files / "profiles" / "school" / "ks2.yaml"


def test_nothing_is_in_force_before_the_first_time(snapshots: Snapshots) -> None:
    """A worker that starts before anything was published reads an error, and no empty policy."""
    assert snapshots.current() == ""
    with pytest.raises(ProblemsError):
        snapshots.open(snapshots.current())


def test_what_is_published_can_be_opened_by_its_version(snapshots: Snapshots) -> None:
    """Every worker has the same policy as the supervisor, and each logged decision's can be looked at."""
    policy = snapshots.publish()
    assert snapshots.current() == policy.version
    assert snapshots.open(policy.version) == policy


def test_publishing_twice_changes_nothing(files: Path, snapshots: Snapshots) -> None:
    """A restart without an edit keeps the version, and writes no second copy."""
    version = snapshots.publish().version
    pointer = files / "state" / "policy" / "current"
    before = pointer.stat().st_mtime_ns
    assert snapshots.publish().version == version
    assert pointer.stat().st_mtime_ns == before
    assert len(folders(files)) == 1


@pytest.mark.slow
def test_a_good_edit_is_a_new_version_beside_the_old(files: Path, snapshots: Snapshots) -> None:
    """The old policy can still be opened after an edit, for the decisions that were taken by it."""
    old = snapshots.publish()
    edit(ks2(files))
    new = snapshots.publish()
    assert new.version != old.version
    assert snapshots.current() == new.version
    assert snapshots.open(old.version) == old
    assert len(folders(files)) == 2


def test_a_broken_edit_changes_nothing(files: Path, snapshots: Snapshots) -> None:
    """Pupils are filtered by the policy from before, also by a worker that starts amid the edit."""
    old = snapshots.publish()
    ks2(files).write_text("profile: [\n", encoding="utf-8")
    with pytest.raises(ProblemsError, match=r"ks2\.yaml:\d+:\d+: "):
        snapshots.publish()
    assert snapshots.current() == old.version
    assert snapshots.open(snapshots.current()) == old
    assert old.sets["school"].profiles["ks2"].rules["games"].rating is Rating.UNACCEPTABLE


@pytest.mark.slow
def test_a_copy_that_was_changed_is_not_trusted_and_made_anew(files: Path, snapshots: Snapshots) -> None:
    """Nobody loosens the policy in force by editing the gateway's own copy."""
    policy = snapshots.publish()
    (folder,) = folders(files)
    copy = files / "state" / "policy" / folder / "profiles" / "school" / "ks2.yaml"
    edit(copy)
    with pytest.raises(ProblemsError, match="has been changed"):
        snapshots.open(policy.version)
    assert snapshots.publish() == policy
    assert snapshots.open(policy.version) == policy


@pytest.mark.slow
def test_a_copy_that_lost_a_file_is_made_anew(files: Path, snapshots: Snapshots) -> None:
    """A damaged disk is repaired at the next start from the technician's own files."""
    policy = snapshots.publish()
    (folder,) = folders(files)
    (files / "state" / "policy" / folder / "categories.yaml").unlink()
    assert snapshots.publish() == policy
    assert snapshots.open(policy.version) == policy


@pytest.mark.slow
def test_a_file_saved_while_it_is_copied_is_read_again(
    files: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is published is what was checked, also when an editor saves in that very moment."""
    copy = shutil.copyfile
    saved: list[Path] = []

    def copy_while_saving(source: Path, target: Path) -> None:
        copy(source, target)
        if not saved and source.name == "ks2.yaml":
            saved.append(source)
            edit(target)
            edit(source)

    monkeypatch.setattr("appliance.config.snapshots.shutil.copyfile", copy_while_saving)
    policy = snapshots.publish()
    assert saved
    assert snapshots.open(policy.version) == policy
    assert len(folders(files)) == 1


def test_a_state_folder_that_cannot_be_written_is_an_error(files: Path) -> None:
    """A wrong path for the state is an error with its name, and not a loop."""
    (files / "state").write_text("a file", encoding="utf-8")
    broken = Snapshots(files / "state" / "policy", files / "profiles", files / "categories.yaml")
    with pytest.raises(OSError, match="state"):
        broken.publish()


def test_a_copy_that_cannot_be_put_in_place_is_an_error(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails in the last step ends the publication with its error, and leaves no litter."""

    def fail(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space"):
        snapshots.publish()
    assert snapshots.current() == ""


@pytest.mark.parametrize("what", ["edit", "add", "remove", "categories", "touch"])
def test_the_signature_changes_with_the_files(files: Path, snapshots: Snapshots, what: str) -> None:
    """Saving, adding or removing a file is noticed within a tenth of a second."""
    before = snapshots.signature()
    assert snapshots.signature() == before
    if what == "edit":
        edit(ks2(files))
    elif what == "add":
        shutil.copyfile(ks2(files), ks2(files).with_name("new.yaml"))
    elif what == "remove":
        ks2(files).unlink()
    elif what == "categories":
        edit(files / "categories.yaml")
    else:
        os.utime(ks2(files), ns=(1, 1))
    assert snapshots.signature() != before


def test_a_missing_folder_has_a_signature_too(tmp_path: Path) -> None:
    """Files that vanish for a moment, as when a repository is updated, do not end the watch."""
    assert Snapshots(tmp_path, tmp_path / "none", tmp_path / "none.yaml").signature() == (
        (str(tmp_path / "none.yaml"), 0, 0),
    )


@pytest.mark.slow
@pytest.mark.parametrize("junk", [b"\xff\xfe", b"sha256:gone\n", b"../../etc", b""])
def test_a_damaged_pointer_is_put_right(files: Path, snapshots: Snapshots, junk: bytes) -> None:
    """A pointer that a crash or a disk spoiled is an error to a worker, and is mended by the next start."""
    policy = snapshots.publish()
    (files / "state" / "policy" / "current").write_bytes(junk)
    with pytest.raises(ProblemsError):
        snapshots.open(snapshots.current())
    assert snapshots.publish() == policy
    assert snapshots.current() == policy.version


def test_a_file_that_is_not_read_is_noticed(tmp_path: Path) -> None:
    """A profile that is saved as .yml under a running gateway is told, like every broken edit."""
    (tmp_path / "set").mkdir()
    store = Snapshots(tmp_path / "store", tmp_path, tmp_path / "categories.yaml")
    before = store.signature()
    (tmp_path / "set/ks2.yml").write_text("profile: ks2\n")
    assert store.signature() != before


@pytest.mark.slow
def test_what_comes_in_force_is_recorded_or_does_not_come(files: Path) -> None:
    """S-76: each change of the policy is told once, with the version before; else it does not happen."""
    told: list[tuple[str, str]] = []
    store = files / "state" / "policy"
    kept = Snapshots(
        store,
        files / "profiles",
        files / "categories.yaml",
        record=lambda old, new: told.append((old, new)),
    )
    first = kept.publish().version
    kept.publish()
    edit(ks2(files))

    def full(_old: str, _new: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Snapshots(store, files / "profiles", files / "categories.yaml", record=full).publish()
    assert kept.current() == first
    second = kept.publish().version
    assert told == [("", first), (first, second)]
