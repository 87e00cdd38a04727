from __future__ import annotations

from types import SimpleNamespace

from appliance.gateway.lived import cut_overrides, lives_by
from tests.doubles.addon import Bench
from tests.gateway.test_handler import handler_with


def test_what_lived_by_an_override_is_cut_with_it() -> None:
    """S-23: connections that were open by an ended override end, and those of another lesson go on."""
    doors = Bench().doors
    cut: list[list[str]] = []
    for number, lived in enumerate(({1}, {1, 2}, {2}, set[int]())):
        handler, cuts = handler_with(None)
        handler.client = SimpleNamespace(id=str(number), peername=("10.20.0.5", 1))  # type: ignore[assignment]  # enough
        doors.connections[str(number)] = handler
        lives_by(doors, handler.client, frozenset(lived))
        cut.append(cuts)
    lives_by(doors, SimpleNamespace(id="gone"), frozenset({1}))
    assert cut_overrides(doors, frozenset({1})) == 2
    assert [bool(cuts) for cuts in cut] == [True, True, False, False]
