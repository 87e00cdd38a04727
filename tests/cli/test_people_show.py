from __future__ import annotations

import pytest

from appliance.cli import people_show
from appliance.identity.accounts import Account
from appliance.identity.stops import Stop
from appliance.model.person import Kind, Standing

AMY = Account("amy", Kind.INDIVIDUAL, "ks2", "hash")


def test_nothing_in_a_table_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A hostile name in an import cannot clear a technician's screen."""
    people_show.grid(("name",), [("a\x1b[2Jb",)])
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "a\\x1b[2Jb" in printed


def test_how_an_account_stands_is_said_in_a_word() -> None:
    """S-60: a stop is shown before everything else, and a removal with its end."""
    assert people_show.state(AMY, None) == "in use"
    frozen = Stop(1, "amy", Standing.FROZEN, "x", "head", 0.0, None)
    assert people_show.state(AMY, frozen) == "frozen"
    removed = Stop(1, "amy", Standing.REMOVED, "x", "head", 0.0, 1_795_600_800.0)
    assert people_show.state(AMY, removed) == "removed until 2026-11-25 10:00"
    assert people_show.moment(None) == ""
