"""A school's files in a folder of their own: the shipped ones, to be broken one by one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from appliance import assembly
from appliance.config.problems import ProblemsError
from appliance.lists.catalogue import Catalogue, load_catalogue
from appliance.plausible import cross_check, update_problems
from appliance.settings import load_settings

_load = assembly.load  # as it is before any test puts another in its place
ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION = """\
school:
  name: Westways
  set: westways
paths:
  state: state
  profiles: {root}/profiles
  blocklists: {root}/blocklists
gateway:
  listen: 127.0.0.1:8080
identity:
  networks:
    - {{network: 10.20.0.0/16, group: ks2, name: Classrooms}}
metrics:
  listen: 127.0.0.1:9464
"""


def configuration(folder: Path, *, own_files: bool = False, changes: Mapping[str, str] | None = None) -> Path:
    """Write a configuration into `folder` and return its path; `changes` replace whole lines by their key.

    With `own_files` the profiles and lists are copied next to it, to be edited; else the shipped ones count.
    """
    if own_files:
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        shutil.copytree(ROOT / "blocklists", folder / "blocklists")
    text = CONFIGURATION.format(root="." if own_files else ROOT)
    for key, value in (changes or {}).items():
        lines = [line for line in text.splitlines() if line.strip().startswith(f"{key}:")]
        assert lines, key
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        text = text.replace(lines[0], f"{indent}{key}: {value}", 1)
    path = folder / "appliance.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@cache
def _shipped() -> tuple[assembly.Loaded, Catalogue]:
    """Load what is shipped, once for all tests: nothing changes a policy or a catalogue once it is loaded."""
    with TemporaryDirectory() as folder:
        return _load(configuration(Path(folder))), load_catalogue(ROOT / "blocklists")


def load_quickly(path: Path) -> assembly.Loaded:
    """Do what `assembly.load` does, but read the shipped profiles and lists once for all tests.

    Where a test has files of its own, or anything is wrong, all is read as ever.
    """
    loaded, catalogue = _shipped()
    try:
        found = load_settings(path)
    except ProblemsError:
        return _load(path)
    paths, shipped = found.settings.paths, loaded.settings.paths
    same = (paths.profiles, paths.blocklists) == (shipped.profiles, shipped.blocklists)
    if not same or cross_check(found, loaded.policy) or update_problems(found, catalogue):
        return _load(path)
    return assembly.Loaded(found, loaded.policy)


@cache
def load_once(path: Path) -> assembly.Loaded:
    """Load a configuration that no test changes, once for all of them."""
    return load_quickly(path)


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first `old` in a file, which must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
