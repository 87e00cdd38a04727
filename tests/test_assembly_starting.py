"""What the gateway starts with, and what is said at the start."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance import assembly
from appliance.assembly import load, load_to_run, notes, prepare
from appliance.config.problems import ProblemsError
from appliance.gateway import ca
from appliance.plausible import statutory_problems
from tests.doubles.school import configuration, edit

KS2 = "profiles/westways/ks2.yaml"


def problems(path: Path) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        load(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in raised.value.problems]


@pytest.mark.slow
def test_a_broken_edit_changes_nothing_over_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gateway that starts amid an edit has the last good policy and lists in force, and says so."""
    path = configuration(tmp_path, own_files=True)
    edit(tmp_path / KS2, "audience: ks2", "audience: ks22")
    with pytest.raises(ProblemsError):
        load_to_run(path)  # no policy was ever in force: nothing to start with
    edit(tmp_path / KS2, "audience: ks22", "audience: ks2")
    good = load_to_run(path)
    prepare(good.settings)
    edit(tmp_path / KS2, "audience: ks2", "audience: ks22")
    edit(tmp_path / "blocklists/categories.yaml", "gambling:", "gamblng:")
    capsys.readouterr()
    last = load_to_run(path)
    assert last.policy.version == good.policy.version
    assert "did you mean 'ks2'?" in capsys.readouterr().err
    prepare(last.settings)
    assert "the lists from before stay in force" in capsys.readouterr().err
    assert assembly.snapshots(last.settings).current() == good.policy.version
    assert notes(last)  # and what needs the broken files is left out
    edit(path, "listen: 127.0.0.1:8080", "listen: x")
    with pytest.raises(ProblemsError, match="must be an address"):
        load_to_run(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("categories.yaml", "    floor: true\n", "", "23:5: 'csam' is what a statutory list feeds"),
        ("catalogue.yaml", "category: csam", "category: gambling", "'gambling' is no statutory category"),
        ("catalogue.yaml", "category: csam", "category: terrorism", "feeds 'csam' (DFE-F2)"),
    ],
)
def test_a_statutory_category_is_not_mapped_away(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    """No edit of the categories takes the floor from under a statutory list (DFE-F2, S-18, S-19)."""
    path = configuration(tmp_path, own_files=True)
    edit(tmp_path / "blocklists" / file, old, new)
    found = [line for line in problems(path) if line.startswith(f"blocklists/{file}:")]
    assert any(said in line for line in found), found


@pytest.mark.slow
def test_without_a_statutory_category_nothing_is_published(tmp_path: Path) -> None:
    """An edit under a running gateway that renames a statutory category stays out of force."""
    policy = load(configuration(tmp_path)).policy
    without = replace(policy, categories={"gambling": policy.categories["gambling"]})
    found = statutory_problems(without, Path("blocklists"))
    assert [problem.message.partition(":")[0] for problem in found] == [
        "the category 'csam' is missing",
        "the category 'terrorism' is missing",
    ]


@pytest.mark.slow
def test_terms_that_are_over_and_a_ca_that_ends_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What will surprise next month is said today, and holds up no start."""
    path = configuration(tmp_path, own_files=True)
    loaded = load(path)
    monkeypatch.setattr(ca, "CA_YEARS", 1)
    ca.ensure_authority(loaded.settings.state / "ca", "Westways")
    in_ten_months = datetime.now(UTC) + timedelta(days=300)
    assert any("appliance ca renew" in note for note in notes(loaded, in_ten_months))
    assert not any("appliance ca renew" in note for note in notes(loaded))
    after_all = datetime(2030, 1, 1, tzinfo=UTC)
    assert any("set.yaml:13:1: every term is over" in note for note in notes(loaded, after_all))
