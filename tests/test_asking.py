from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance import assembly
from appliance.asking import lists_to_ask
from appliance.lists.compiler import compile_lists
from appliance.model.known import FloorState
from appliance.model.url import parse_url
from appliance.settings import Settings
from tests.doubles.school import configuration

GAMBLING = parse_url("https://gambling.example/")


def compiled(folder: Path, at: float) -> Settings:
    settings = assembly.load(configuration(folder)).settings
    compile_lists(settings.blocklists, settings.state, at)
    return settings


@pytest.mark.slow
def test_what_is_in_force_answers(tmp_path: Path) -> None:
    """An answer is that of the gateway, with nothing to add where all is in order."""
    with lists_to_ask(compiled(tmp_path, time.time())) as (lists, notes):
        assert lists.lookup(GAMBLING).matches
        assert notes == []


@pytest.mark.slow
def test_a_stale_floor_is_told_and_not_made_anew(tmp_path: Path) -> None:
    """The gate of a gateway on this state is closed, and so is the answer's; what to do is said."""
    settings = compiled(tmp_path, 1_700_000_000.0)
    floor = (settings.state / "lists/floor.bin").read_bytes()
    with lists_to_ask(settings) as (lists, notes):
        assert lists.lookup(GAMBLING).floor.state is FloorState.STALE
        (note,) = notes
    assert "the gate is closed" in note
    assert "appliance lists compile" in note
    assert (settings.state / "lists/floor.bin").read_bytes() == floor


@pytest.mark.slow
def test_nothing_compiled_is_compiled_elsewhere(tmp_path: Path) -> None:
    """A fresh clone is answered from a folder that is gone afterwards."""
    settings = assembly.load(configuration(tmp_path)).settings
    with lists_to_ask(settings) as (lists, notes):
        assert lists.lookup(GAMBLING).matches
        assert "for this answer alone" in notes[0]
    assert not settings.state.exists()
