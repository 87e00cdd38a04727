from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from appliance import assembly, releasing
from appliance.changes.store import ChangeError, Entry, Proposal, State
from appliance.config.problems import ProblemsError
from appliance.settings import Settings, load_settings
from tests.doubles.people import school
from tests.doubles.school import configuration, edit

pytestmark = pytest.mark.slow  # each publishes a policy twice


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a school of two people, with a policy in force."""
    config = configuration(tmp_path, own_files=True)
    found = load_settings(config).settings
    school(found.state).add("Class 5A")
    assembly.snapshots(found).publish()
    config.write_text(config.read_text() + "changes: {approval: two, approvers: [head]}\n")
    return load_settings(config).settings


def proposal(settings: Settings, *entries: Entry) -> Proposal:
    store = assembly.snapshots(settings)
    edit(settings.paths.profiles / "westways" / "ks2.yaml", "profile: ks2", "profile: ks2 ")
    base, version = store.current(), store.keep().version
    return Proposal(1, State.STAGED, base, version, entries, "", "tech", 1.0, {})


def test_a_stage_names_rooms_classes_and_profiles(settings: Settings) -> None:
    """S-25: each kind of name is understood, a slip is told, and lists cannot be staged."""
    made = proposal(settings)
    stage = releasing.stage_of(settings, made, ["Classrooms", "ks1", "class 5a"], None)
    assert stage.networks == (ip_network("10.20.0.0/16"),)
    assert (set(stage.groups), set(stage.names)) == ({"ks1"}, {"class 5a"})
    with pytest.raises(ChangeError, match="Classrooms"):
        releasing.stage_of(settings, made, ["Clasrooms"], None)
    with pytest.raises(ChangeError, match="profiles by themselves"):
        releasing.stage_of(settings, proposal(settings, Entry("allow", "x")), ["ks1"], None)


def test_a_stage_is_the_same_after_a_restart(settings: Settings) -> None:
    """A worker that starts amid a stage reads just what was released, and a damaged one is told."""
    made, store = proposal(settings), assembly.snapshots(settings)
    stage = releasing.stage_of(settings, made, ["Classrooms", "ks1", "class 5a"], 99.5)
    store.set_stage(stage)
    found = assembly.snapshots(settings).staged()
    assert found is not None
    assert (found[0], found[1].version) == (stage, made.version)
    assert store.current() == made.base
    (settings.state / "policy" / "stage").write_text("{")
    with pytest.raises(ProblemsError, match="damaged"):
        store.staged()
    releasing.take_back(settings, made)
    assert store.staged() is None


def test_only_the_last_change_of_profiles_is_taken_back(settings: Settings) -> None:
    """What came in force later is not undone with it, and a list or an entry never is."""
    made = replace(proposal(settings), state=State.RELEASED)
    with pytest.raises(ChangeError, match="rollback"):
        releasing.take_back(settings, made)
    with pytest.raises(ChangeError, match="more than profiles"):
        releasing.take_back(settings, replace(made, entries=(Entry("block", "x"),)))
    releasing.widen(settings, made)
    releasing.take_back(settings, made)
    assert assembly.snapshots(settings).current() == made.base
    with pytest.raises(ChangeError, match="in force by now"):
        releasing.widen(settings, replace(made, base="sha256:00"))
