"""Tests of whose turn it is to tidy."""

from __future__ import annotations

from pathlib import Path

from appliance.events.turn import Turn


def test_only_one_has_the_turn(tmp_path: Path) -> None:
    """Two checkpoints never run side by side, which some SQLite versions do not survive."""
    first, second = Turn(tmp_path / "t"), Turn(tmp_path / "t")
    assert (first.mine(), second.mine(), first.mine()) == (True, False, True)
    first.give_up()
    assert (second.mine(), first.mine()) == (True, False)
    second.give_up()


def test_a_folder_that_is_gone_gives_nobody_the_turn(tmp_path: Path) -> None:
    """Tidying is no reason for a gateway to fail."""
    turn = Turn(tmp_path / "missing" / "t")
    assert not turn.mine()
    turn.give_up()
