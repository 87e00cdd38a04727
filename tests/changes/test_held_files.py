from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.changes.database import ChangeError
from appliance.changes.held_files import HeldFiles


def folder(at: Path, **files: str) -> Path:
    at.mkdir(exist_ok=True)
    for name, text in files.items():
        (at / f"{name}.yaml").write_text(text)
    return at


def test_what_is_in_force_is_what_was_released(tmp_path: Path) -> None:
    """An edit of the folder changes nothing; a release swaps all of it; a failure brings the old back."""
    files, source = HeldFiles(tmp_path), folder(tmp_path / "lists", help="a", catalogue="b")
    assert files.blocklists_version() == ""
    first = files.keep_blocklists(source)
    with files.using_blocklists(first):
        pass
    folder(source, help="c")
    assert (files.blocklists / "help.yaml").read_text() == "a"
    second = files.keep_blocklists(source)
    with pytest.raises(ZeroDivisionError):
        _fail_with(files, second)
    assert files.blocklists_version() == first
    assert files.texts(first) == {"blocklists/catalogue.yaml": "b", "blocklists/help.yaml": "a"}


def _fail_with(files: HeldFiles, version: str) -> None:
    with files.using_blocklists(version):
        assert (files.blocklists / "help.yaml").read_text() == "c"
        raise ZeroDivisionError


def test_a_copy_that_was_changed_is_not_used(tmp_path: Path) -> None:
    """What was looked at is what is released: a byte that differs is told, and proposing makes it whole."""
    files, source = HeldFiles(tmp_path), folder(tmp_path / "lists", help="a")
    version = files.keep_blocklists(source)
    (files.kept_blocklists(version) / "help.yaml").write_text("z")
    with pytest.raises(ChangeError, match="was changed"):
        files.kept_blocklists(version)
    assert files.keep_blocklists(source) == version
    assert (files.kept_blocklists(version) / "help.yaml").read_text() == "a"


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"version": "x", "values": {"changes": 1}}', "\0" * 99])
def test_damaged_settings_are_no_settings(tmp_path: Path, damage: str) -> None:
    """Whatever lies where the agreement was, it is told, and nobody's edit takes its place unseen."""
    files = HeldFiles(tmp_path)
    files.use_settings(files.keep_settings({"changes": {"approval": "two"}}))
    assert files.settings() == {"changes": {"approval": "two"}}
    path = tmp_path / "changes" / "settings.json"
    assert path.stat().st_mode & 0o77 == 0
    path.write_text(damage)
    with pytest.raises(ChangeError, match="last backup"):
        files.settings()
    path.write_text(json.dumps({"version": "sha256:0", "values": {}}))
    with pytest.raises(ChangeError, match="last backup"):
        files.settings()
