from __future__ import annotations

from dataclasses import replace

from appliance.events.record import from_access
from appliance.model.person import Confidence, Person
from appliance.overrides.report import Visit, visits
from tests.doubles.events import access

AMY = Person("ks2", "own sign-in", Confidence.CERTAIN, "amy")
CLASS = Person("ks1", "network Room 1")


def test_the_report_says_who_was_where_and_never_guesses_a_child() -> None:
    """The granter sees what the lesson was used for; where only a room is known, only the room is named."""
    first = from_access(access(person=AMY))._replace(host="a.example", time=1000, client="10.0.0.5")
    again = first._replace(time=5000)
    shared = from_access(replace(access(), person=CLASS))._replace(
        host="b.example", time=2000, client="10.0.0.6", device=""
    )
    assert visits([again, first, shared]) == [
        Visit("amy (ks2)", "a.example", 2, 1.0, 5.0),
        Visit("ks1 at 10.0.0.6", "b.example", 1, 2.0, 2.0),
    ]
    assert visits([]) == []
