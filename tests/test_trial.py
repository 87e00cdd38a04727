from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance import trial
from appliance.changes.store import ChangeError, Entry
from appliance.lists.importer import Wanted
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths
from appliance.lists.update import UpdateError
from appliance.model.url import parse_host
from appliance.settings import Settings, load_settings
from tests.doubles.school import configuration

pytestmark = pytest.mark.slow  # each compiles lists


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a school that has imported one list."""
    found = load_settings(configuration(tmp_path)).settings
    bets = tmp_path / "bets.txt"
    bets.write_text("one.example\n")
    kept = trial.keep_import(found.state, bets, Wanted("bets", "Bets", ("gambling",)))
    trial.done(Entry(trial.IMPORT, kept), trial.Where.real(found))
    return found


def listed(where: trial.Where) -> bool:
    lists = Lists.open(where.blocklists, where.state)
    return any(match.list == "bets" for match in lists.lookup(parse_host("one.example")).matches)


def test_what_is_tried_changes_nothing(settings: Settings) -> None:
    """A proposal is judged with lists as they would be, while those in force stay to the byte."""
    real = trial.Where.real(settings)
    before = {path: path.read_bytes() for path in Paths(settings.state).root.rglob("*") if path.is_file()}
    with trial.tried(settings, settings.blocklists, (Entry(trial.DROP, "bets"),)) as where:
        assert not listed(where)
        assert listed(real)
    assert {path: path.read_bytes() for path in before} == before
    assert not list((settings.state / "changes").glob(".trial-*"))
    with (
        pytest.raises(UpdateError, match="unknown list"),
        trial.tried(settings, settings.blocklists, (Entry(trial.DROP, "x"),)),
    ):
        pass
    assert not list((settings.state / "changes").glob(".trial-*"))


def test_one_list_at_a_time_and_kept_until_then(settings: Settings) -> None:
    """Each list can be refused by itself; what was kept for a change cannot be a path out of the folder."""
    with pytest.raises(ChangeError, match="one list at a time"):
        trial.list_acts((Entry(trial.DROP, "a"), Entry(trial.ROLLBACK, "b")))
    shutil.rmtree(settings.state / "changes" / "imports")
    for name in ("1", "../..", ""):
        with pytest.raises(ChangeError, match="propose it again"):
            trial.kept_import(settings.state, name)
