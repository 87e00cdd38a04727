"""A school of its own for each test of a verb, with lists that are compiled once for all of them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from appliance import assembly
from appliance.cli.setup import Setup
from appliance.lists.compiler import compile_lists
from tests.doubles.school import ROOT, configuration, load_quickly


@pytest.fixture(autouse=True)
def _shipped_files_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "load", load_quickly)


@pytest.fixture
def where(tmp_path: Path) -> Setup:
    """Return the setup of a school whose files may be edited and whose state is empty."""
    made = Setup()
    made.config = configuration(tmp_path, own_files=True)
    return made


@pytest.fixture(scope="session")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("compiled")
    compile_lists(ROOT / "blocklists", state, time.time())
    return state


@pytest.fixture
def compiled(where: Setup, _compiled: Path) -> Setup:
    """Return the same with the shipped lists compiled."""
    shutil.copytree(_compiled, where.state)
    return where
