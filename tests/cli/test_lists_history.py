"""`appliance lists diff` and `lists overlap`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup


def _run(where: Setup, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


@pytest.mark.slow
def test_of_a_statutory_list_only_numbers_are_shown(compiled: Setup) -> None:
    """`diff` of the floor counts, and names nothing (IWF-8)."""
    shown, done = (_run(compiled, "diff", "iwf-development", *more) for more in ((), ("--json",)))
    for each in (shown, done):
        assert each.exit_code == 0
        assert "floor-test" not in each.output
    assert json.loads(done.stdout)["added"] > 0


@pytest.mark.slow
def test_what_cannot_be_compared_is_2(
    compiled: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that ships has no earlier edition; without a table there is no overlap."""
    assert _run(compiled, "diff", "demo-gambling").exit_code == 2
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "nothing"))
    other = Setup()
    other.config = compiled.config
    assert _run(other, "overlap").exit_code == 2


@pytest.mark.slow
def test_overlap_as_json(compiled: Setup) -> None:
    """A program gets the pairs with their numbers."""
    done = _run(compiled, "overlap", "--json", "--most", "3")
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)) == {"pairs"}
