from __future__ import annotations

from appliance.events.visits import Counted
from appliance.overrides.report import Visit, merged, visits


def test_the_report_says_who_was_where_and_never_guesses_a_child() -> None:
    """The granter sees what the lesson was used for; where only a room is known, only the room is named."""
    first = Counted("amy", "ks2", "Tablet 1", "10.0.0.5", "a.example", 2, 1000, 5000)
    next_day = first._replace(device="Tablet 2", times=1, first=9000, last=9000)
    shared = Counted("", "ks1", "", "10.0.0.6", "b.example", 1, 2000, 2000)
    found = visits([next_day, first, shared])
    assert found == [
        Visit("", "ks1", "10.0.0.6", "b.example", 1, 2.0, 2.0),
        Visit("amy", "ks2", "", "a.example", 3, 1.0, 9.0),
    ]
    assert [one.who for one in found] == ["ks1 at 10.0.0.6", "amy (ks2)"]
    assert visits([]) == []


def test_what_is_past_its_days_is_what_a_group_did() -> None:
    """Without name, device and site nothing is left that tells one child from another."""
    blank = [Visit("", "ks2", "", "", times, 1.0, float(times)) for times in (2, 3)]
    (one,) = merged(blank)
    assert one == Visit("", "ks2", "", "", 5, 1.0, 3.0)
    assert one.who == "ks2"
