"""The tables of the README."""

from __future__ import annotations

from pathlib import Path

from appliance.config.profiles import load_policy
from appliance.config.tables import profile_table, with_tables

ROOT = Path(__file__).resolve().parents[2]
POLICY = load_policy(ROOT / "profiles", ROOT / "blocklists" / "categories.yaml")


def test_the_readme_shows_what_the_profiles_say() -> None:
    """A governor reads the README; what stands there is what the gateway does (DFE-R2)."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for set_id in POLICY.sets:
        assert f"<!-- table {set_id} -->" in readme
    assert with_tables(readme, POLICY) == readme, "run: python -m appliance.config.tables"


def test_the_floor_is_never_in_every_column() -> None:
    """No table shows the statutory categories as anything but `never`."""
    for set_id, chosen in POLICY.sets.items():
        row = next(
            line for line in profile_table(POLICY, set_id).splitlines() if "Child sexual abuse" in line
        )
        assert row.count("**never**") == len(chosen.profiles)


def test_a_rule_with_times_names_its_timetable() -> None:
    """`At certain times` without saying when would tell nobody anything."""
    assert "at lunch" in profile_table(POLICY, "westways")
