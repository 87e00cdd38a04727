from __future__ import annotations

from pathlib import Path

import pytest

from appliance import holding
from appliance.changes.held_files import HeldFiles
from appliance.config.problems import ProblemsError
from appliance.events.audit import Trail
from appliance.settings import load_settings
from tests.doubles.school import configuration, edit

TWO = "changes: {approval: two, approvers: [head]}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the configuration of a school whose files may be edited."""
    path = configuration(tmp_path, own_files=True)
    path.write_text(path.read_text() + TWO)
    return path


@pytest.mark.slow
def test_what_stands_at_the_beginning_is_held_once(config: Path) -> None:
    """S-26: from one person to two takes one, is audited, and a second start does not take up later edits."""
    settings = load_settings(config).settings
    holding.begin(settings)
    edit(config.parent / "blocklists" / "help.yaml", "Childline", "Another")
    edit(config, "10.20.0.0/16", "10.21.0.0/16")
    holding.begin(load_settings(config).settings)
    now = load_settings(config).settings
    assert str(now.identity.networks[0].network) == "10.20.0.0/16"
    assert "Another" not in (now.blocklists / "help.yaml").read_text()
    assert [entry["what"] for entry in Trail(settings.state).entries()] == ["held"]
    told = holding.waits(config, now)
    assert "identity.networks" in told[0]
    assert "help.yaml" in told[1]
    parts = holding.proposed(config, now)
    assert sorted(parts) == ["blocklists", "settings"]
    before, after = holding.difference_of(now, parts)
    assert "10.20.0.0/16" in before["settings"]
    assert "10.21.0.0/16" in after["settings"]


@pytest.mark.slow
def test_what_is_wrong_is_told_when_it_is_proposed(config: Path) -> None:
    """A broken catalogue is no proposal: nobody could release it."""
    settings = load_settings(config).settings
    holding.begin(settings)
    edit(config.parent / "blocklists" / "catalogue.yaml", "lists:", "lits:")
    with pytest.raises(ProblemsError, match="lits"):
        holding.proposed(config, settings)


def test_one_person_holds_nothing(config: Path) -> None:
    """With approval: single the files count as they are, and nothing is copied."""
    config.write_text(config.read_text().replace("approval: two", "approval: single"))
    settings = load_settings(config).settings
    holding.begin(settings)
    assert (holding.waits(config, settings), holding.proposed(config, settings)) == ([], {})
    assert HeldFiles(settings.state).blocklists_version() == ""
    assert settings.blocklists == settings.paths.blocklists
