"""`appliance lists update` and `lists rollback`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup
from tests.doubles.feeds import FeedServer
from tests.doubles.school import edit


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FeedServer]:
    made = FeedServer(tmp_path)
    yield made
    made.close()


@pytest.fixture
def mine(where: Setup, server: FeedServer) -> Setup:
    """Return a school with a download of its own."""
    catalogue = where.config.parent / "blocklists/catalogue.yaml"
    entry = (
        f'  - {{id: mine, title: Mine, categories: [gambling], licence: MIT, url: "{server.url("/list")}", '
        f"ca_file: {server.ca_file}}}\n"
    )
    catalogue.write_text(catalogue.read_text().replace("\ndownloads:\n", f"\ndownloads:\n{entry}"))
    return where


def _run(where: Setup, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


@pytest.mark.slow
def test_nothing_chosen_is_told(mine: Setup) -> None:
    """Without a choice nothing is fetched, and a person is told why; the timer is not."""
    assert "lists.updates is empty" in _run(mine, "update").stderr
    assert _run(mine, "update", "--due").output == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("update", "gone"), 2, "nothing that can be updated"),
        (("update", "mine"), 1, "the server answered 404"),
        (("rollback", "mine"), 2, "no earlier edition"),
        (("rollback", "iwf-development"), 2, "never rolled back"),
    ],
)
def test_what_fails_says_why(mine: Setup, arguments: tuple[str, ...], status: int, said: str) -> None:
    """1 for an update that failed, 2 for what cannot be begun; the reason is on stderr and in the status."""
    done = _run(mine, *arguments)
    assert done.exit_code == status
    assert said in done.stderr
    if status == 1:
        known = _run(mine, "status")
        assert known.exit_code == 1
        assert "404" in known.stderr
        assert "never" in known.stdout


@pytest.mark.slow
def test_update_look_up_diff_and_back(mine: Setup, server: FeedServer) -> None:
    """The whole way: two editions, since when, what changed, what is shared, back, and not forth again."""
    edit(mine.config, "metrics:", "lists:\n  updates: [mine]\nmetrics:")
    server.serve("/list", "a-bet.example\nb-bet.example\n")
    done = _run(mine, "update")
    assert (done.exit_code, "mine: new: 2 entries" in done.stdout) == (0, True), done.output
    assert "Fetching mine ..." in done.stderr
    server.serve("/list", "a-bet.example\nc-bet.example\ngambling.example\n")
    told = json.loads(_run(mine, "update", "mine", "--json").stdout)
    assert [one["came"] for one in told["updates"]] == ["new"]
    diff = _run(mine, "diff", "mine").stdout
    assert "2 added and 1 removed" in diff
    assert "- b-bet.example" in diff
    found = json.loads(_run(mine, "lookup", "c-bet.example", "--json").stdout)
    assert found["matches"][0]["since"]
    assert "before" not in found["matches"][0]["since"]
    assert "or before" in _run(mine, "lookup", "a-bet.example").stdout
    assert "mine" in _run(mine, "overlap").stdout
    status = json.loads(_run(mine, "status", "--json").stdout)
    assert [one["problem"] for one in status["updates"]] == [""]
    assert _run(mine, "rollback", "mine").exit_code == 0
    assert json.loads(_run(mine, "lookup", "c-bet.example", "--json").stdout)["listed"] is False
    assert "mine: same" in _run(mine, "update").stdout
