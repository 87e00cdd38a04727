"""How an override is said in a line."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from appliance.model.grant import State, What, Whom
from appliance.overrides.shown import minutes_left, opens, people
from appliance.overrides.written import Override
from tests.overrides.making import HOUR, NOW, wish

ONE = Override(1, State.ACTIVE, wish(), HOUR, "a", NOW)


def test_the_minutes_left_are_rounded_up_and_only_of_what_is_in_force() -> None:
    """Nobody is told that nothing is left while something is open still, or the other way round."""
    assert minutes_left(ONE, NOW + HOUR - 1) == 1
    assert minutes_left(ONE, NOW + HOUR + 999) == 0
    assert minutes_left(replace(ONE, state=State.EXPIRED), NOW) is None


def test_what_is_opened_and_for_whom_is_one_line_each() -> None:
    """Hosts, addresses and categories; who and where, or whoever is there."""
    what = What(frozenset({"b.example", "a.example"}), frozenset({("c.example", "/x")}), frozenset({"games"}))
    assert opens(what) == "a.example, b.example, c.example/x, all about games"
    rooms = (ip_network("10.20.1.0/24"),)
    assert people(Whom(groups=frozenset({"ks2"}), networks=rooms)) == "ks2 at 10.20.1.0/24"
    assert people(Whom(networks=rooms)) == "whoever is at 10.20.1.0/24"
