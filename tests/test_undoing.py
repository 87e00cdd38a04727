"""A power cut amid a decision about a change: all of it is in force, or none, and the audit says which."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from appliance import assembly, holding, releasing, returning, trial
from appliance.changes.database import ChangeError
from appliance.changes.held_files import HeldFiles
from appliance.changes.proposals import Entry, Proposal
from appliance.events.audit import Trail
from appliance.events.verify_audit import NOT_CARRIED, verify_path
from appliance.lists.compiler import is_current
from appliance.lists.importer import Wanted
from appliance.lists.local import LocalFile
from appliance.lists.paths import Paths
from appliance.lists.store import Store
from appliance.model.known import Use
from appliance.settings import Settings, load_settings
from appliance.undoing import Undoing
from tests.doubles.school import configuration, edit
from tests.doubles.two import WHY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # each decides many times over

CUTS = 12
"""Power cuts in each decision, at steps that lie evenly between its first and its last."""

WATCHED = ("/changes/", "/config/snapshots.py", "/events/audit.py", "/lists/", "/transactions.py")

type Decide = Callable[[Settings], None]


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a school of two people: one proposal is of profiles alone, one of everything."""
    folder = tmp_path / "school"
    monkeypatch.setenv("APPLIANCE_STATE", str(folder / "state"))
    folder.mkdir()
    config = configuration(folder, own_files=True)
    text = config.read_text()
    first = load_settings(config).settings
    assembly.snapshots(first).publish()
    bets = tmp_path / "bets.txt"
    bets.write_text("one.example\n")
    kept = trial.keep_import(first.state, bets, Wanted("bets", "Bets", ("gambling",)))
    trial.done(Entry(trial.IMPORT, kept), trial.Where.real(first))
    local = LocalFile(Paths(first.state).local)
    local.add(Use.BLOCK, "games.example", because="too loud", who="dsl", at=datetime.now(UTC))
    config.write_text(f"{text}changes: {{approval: two, approvers: [head]}}\n")
    settings = load_settings(config).settings
    holding.begin(settings)
    store = assembly.snapshots(settings)
    base, made = store.current(), releasing.changes(settings)
    edit(settings.paths.profiles / "westways" / "ks2.yaml", "profile: ks2", "profile: ks2 ")
    version = store.keep().version
    made.propose(base, version, (), reason=WHY, by="tech", at=1.0, impact={})
    lines = settings.paths.blocklists / "help.yaml"
    lines.write_text(lines.read_text() + "# looked at\n")
    config.write_text(f"{text}changes: {{approval: two, approvers: [head, dsl]}}\n")
    parts = holding.proposed(config, settings)
    assert set(parts) == {"settings", "blocklists"}
    entries = (Entry("drop", "bets"), Entry("allow", "maps.example"), Entry("remove", "games.example"))
    made.propose(base, version, entries, reason=WHY, by="tech", at=1.0, impact={}, parts=parts)
    return folder


def settings_of(folder: Path) -> Settings:
    os.environ["APPLIANCE_STATE"] = str(folder / "state")  # put back by the fixture
    return load_settings(folder / "appliance.yaml").settings


def release(number: int, act: Callable[[Settings, Proposal], None] = releasing.put_in_force) -> Decide:
    """Return what releases a change for everybody."""

    def decide(settings: Settings) -> None:
        releasing.changes(settings).release(
            number,
            by="head",
            at=time.time(),
            current=lambda: holding.in_force(settings, assembly.snapshots(settings)),
            act=lambda found: act(settings, found),
        )

    return decide


def release_first(settings: Settings) -> None:
    """Release the change of profiles for one room."""
    store, made = assembly.snapshots(settings), releasing.changes(settings)
    stage = releasing.stage_of(settings, made.get(1), ["Classrooms"], None)
    made.release(
        1,
        by="head",
        at=time.time(),
        current=lambda: holding.in_force(settings, store),
        act=lambda _: store.set_stage(stage),
        stage=releasing.said_of(stage),
    )


def widen(settings: Settings) -> None:
    """Put it in force for everybody."""
    releasing.changes(settings).widen(
        1, by="head", at=time.time(), act=lambda found: releasing.widen(settings, found)
    )


def take_back(settings: Settings) -> None:
    """Go back from it."""
    returning.back(settings, releasing.changes(settings).get(1), "it was too much", time.time())


def in_force(settings: Settings) -> dict[str, Any]:
    """Return all that a decision can touch."""
    store, files, lists = assembly.snapshots(settings), HeldFiles(settings.state), Paths(settings.state)
    matches = LocalFile(lists.local).read().matches
    return {
        "policy": store.current(),
        "stage": store.stage_text(),
        "settings": files.settings_version(),
        "blocklists": files.blocklists_version(),
        "lists": Store(lists).ids(),
        "local": {pair: match.because for pair, match in matches.items()},
        "states": [one.state for one in releasing.changes(settings).newest(9)],
    }


def steps_of(decide: Decide, folder: Path, cut: int) -> int:
    """Decide in a process of its own that is killed at step `cut`; return its steps, 0 where it was killed.

    A step is that one of our own functions begins or ends which write something.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the tests do not matter to it
        child = os.fork()
    if child == 0:
        count = 0

        def step(frame: FrameType, event: str, _arg: object) -> None:
            nonlocal count
            if event in ("call", "return") and any(name in frame.f_code.co_filename for name in WATCHED):
                count += 1
                if count == cut:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            settings = settings_of(folder)
            sys.setprofile(step)
            decide(settings)
            sys.setprofile(None)
            os.write(writing, str(count).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(child, 0)
    return int(text or 0)


def half_way(school: Path) -> tuple[Undoing, dict[str, Any], dict[str, Any]]:
    """Put change 2 in force as a whole; return what undoes it, from what, and what was in force."""
    settings = settings_of(school)
    was, found = in_force(settings), releasing.changes(settings).get(2)
    before = Undoing(settings).before(found)
    releasing.put_in_force(settings, found)
    assert in_force(settings) != was
    return Undoing(settings_of(school)), before, was


def test_what_can_be_put_back_is(school: Path) -> None:
    """One copy that is gone is told, and keeps open nothing that the rest of the change had opened."""
    undoing, before, was = half_way(school)
    settings = settings_of(school)
    kept = settings.state / "changes" / "kept" / "blocklists" / before["blocklists"].replace(":", "-")
    kept.rename(school / "away")
    with pytest.raises(ChangeError, match="this copy is gone"):
        undoing.undo(2, before)
    now = in_force(settings)
    assert {name for name in was if now[name] != was[name]} == {"blocklists"}
    (school / "away").rename(kept)
    undoing.undo(2, before)
    assert in_force(settings) == was


def test_the_lists_are_compiled_again_by_whoever_comes_next(school: Path) -> None:
    """S-25: where the undoing was ended as well, the table does not stay that of the change."""
    undoing, before, was = half_way(school)
    held, paths = HeldFiles(settings_of(school).state), Paths(settings_of(school).state)
    held.use_blocklists(before["blocklists"])
    undoing._put_lists_back(before)
    assert not is_current(held.blocklists, paths)
    undoing.undo(2, before)
    assert is_current(held.blocklists, paths)
    assert in_force(settings_of(school)) == was


def test_settings_that_were_read_half_way_do_not_count(school: Path) -> None:
    """S-26: a change to one person that was not carried out puts no list in force that nobody released."""
    _undoing, before, was = half_way(school)
    settings = settings_of(school)
    lists = settings.paths.blocklists / "help.yaml"
    lists.write_text(lists.read_text() + "# edited since, and released by nobody\n")
    changes = settings.changes.model_copy(update={"approval": "single"})
    single = settings.model_copy(update={"changes": changes})
    assert single.blocklists == settings.paths.blocklists
    Undoing(single).undo(2, before)
    assert is_current(HeldFiles(settings.state).blocklists, Paths(settings.state))
    assert in_force(settings_of(school)) == was


@pytest.mark.parametrize(
    ("before", "decide"),
    [((), release(2)), ((), release_first), ((release_first,), widen), ((release_first,), take_back),
     ((release(1),), take_back)],
    ids=["release", "stage", "widen", "return-staged", "return"],
)  # fmt: skip
def test_a_power_cut_leaves_all_of_a_decision_or_nothing(
    school: Path, tmp_path: Path, before: tuple[Decide, ...], decide: Decide
) -> None:
    """S-25, S-26: whatever the moment; the audit names what was not carried out, and it can be done again."""
    for each in before:
        each(settings_of(school))
    none, whole = in_force(settings_of(school)), tmp_path / "whole"
    shutil.copytree(school, whole, symlinks=True)
    steps = steps_of(decide, whole, 0)
    every = in_force(settings_of(whole))
    assert steps > CUTS
    assert every != none
    found = []
    # The last is one in which nothing is left to do but to forget what was kept.
    for cut in sorted({*range(1, steps, steps // CUTS), steps - 10}):
        folder = tmp_path / "cut"
        shutil.copytree(school, folder, symlinks=True)
        assert steps_of(decide, folder, cut) == 0
        settings = settings_of(folder)
        noted = len(Trail(settings.state).entries())
        releasing.changes(settings).mend(first=True)
        told = [entry["what"] for entry in Trail(settings.state).entries()]
        assert in_force(settings) in (none, every), cut
        found.append(in_force(settings) == every)
        begun = [what for what in told[:noted] if what.startswith("change-")][len(before) + 2 :]
        assert told.count(NOT_CARRIED) == (0 if found[-1] else len(begun)), cut
        if not found[-1]:
            decide(settings)
            assert in_force(settings_of(folder)) == every
        assert releasing.changes(settings).mend(first=True) is False
        assert not verify_path(settings.state / "audit" / "audit.jsonl").findings
        shutil.rmtree(folder)
    assert found == sorted(found)  # nothing up to one moment, and all of it from there on
    assert {False, True} == set(found)
