"""`appliance lists drop`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup


def _run(where: Setup, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


def _listed(where: Setup, address: str) -> bool:
    return bool(json.loads(_run(where, "lookup", address, "--json").stdout)["listed"])


@pytest.mark.slow
def test_a_dropped_list_is_out_of_force_and_can_come_back(compiled: Setup, tmp_path: Path) -> None:
    """A list that was a mistake goes by one command, and that was no mistake that cannot be undone."""
    path = tmp_path / "bets.txt"
    path.write_text("a-bet.example\n")
    assert _run(compiled, "import", str(path), "-c", "gambling").exit_code == 0
    done = _run(compiled, "drop", "bets")
    assert done.exit_code == 0
    assert "appliance lists rollback bets" in done.stderr
    assert not _listed(compiled, "a-bet.example")
    assert _run(compiled, "rollback", "bets").exit_code == 0
    assert _listed(compiled, "a-bet.example")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("iwf-development", "statutory"),
        ("demo-gambling", "catalogue.yaml"),
        ("local", "appliance lists remove"),
        ("bets", "unknown list 'bets'"),
    ],
)
def test_what_cannot_be_dropped_says_the_right_way(compiled: Setup, name: str, said: str) -> None:
    """Floor lists never, shipped lists in the catalogue, local entries one by one; nothing changes."""
    done = _run(compiled, "drop", name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert _listed(compiled, "gambling.example")
