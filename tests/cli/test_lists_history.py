"""`appliance lists diff` and `lists overlap`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup
from appliance.lists.compiler import compile_lists

BLOCKLISTS = Path(__file__).resolve().parents[2] / "blocklists"


class _Where(Setup):
    """A setup that needs no settings file."""

    state = Path()
    blocklists = Path()
    floor_max_age_hours = 48.0


@pytest.fixture
def where(tmp_path: Path) -> _Where:
    made = _Where()
    made.state = tmp_path / "state"
    made.blocklists = tmp_path / "blocklists"
    shutil.copytree(BLOCKLISTS, made.blocklists)
    compile_lists(made.blocklists, made.state, 1_800_000_000.0)
    return made


def _run(where: _Where, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


def test_of_a_statutory_list_only_numbers_are_shown(where: _Where) -> None:
    """`diff` of the floor counts, and names nothing (IWF-8)."""
    shown, done = (_run(where, "diff", "iwf-development", *more) for more in ((), ("--json",)))
    for each in (shown, done):
        assert each.exit_code == 0
        assert "floor-test" not in each.output
    assert json.loads(done.stdout)["added"] > 0


def test_what_cannot_be_compared_is_2(where: _Where, tmp_path: Path) -> None:
    """A list that ships has no earlier edition; without a table there is no overlap."""
    assert _run(where, "diff", "demo-gambling").exit_code == 2
    where.state = tmp_path / "nothing"
    assert _run(where, "overlap").exit_code == 2


def test_overlap_as_json(where: _Where) -> None:
    """A program gets the pairs with their numbers."""
    done = _run(where, "overlap", "--json", "--most", "3")
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)) == {"pairs"}
