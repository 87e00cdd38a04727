from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.setup import DEFAULT_CONFIG, Setup
from appliance.config.problems import ProblemsError
from tests.doubles.school import ROOT, configuration, edit


def test_nothing_is_read_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for help works where there is no configuration."""
    monkeypatch.chdir(tmp_path)
    assert Setup().config == ROOT / DEFAULT_CONFIG


def test_the_default_lies_in_the_folder_one_works_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a clone, the clone's own demo configuration counts, under the name one would type."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "demo.yaml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert Setup().config == DEFAULT_CONFIG


@pytest.mark.slow
def test_lists_and_log_work_while_a_profile_is_broken(tmp_path: Path) -> None:
    """A technician amid an edit still reads the log; what needs the policy says what is wrong with it."""
    setup = Setup()
    setup.config = configuration(tmp_path, own_files=True)
    edit(tmp_path / "profiles/westways/ks2.yaml", "audience: ks2", "audience: ks22")
    assert setup.state == tmp_path / "state"
    assert setup.blocklists.samefile(tmp_path / "blocklists")
    assert setup.floor_max_age_hours == 48
    with pytest.raises(ProblemsError, match=r"ks2\.yaml"):
        _ = setup.loaded


@pytest.mark.slow
def test_it_is_read_once(tmp_path: Path) -> None:
    """One command sees one configuration, also when it is saved meanwhile."""
    setup = Setup()
    setup.config = configuration(tmp_path)
    first = setup.loaded
    setup.config.write_text("", encoding="utf-8")
    assert setup.loaded is first
