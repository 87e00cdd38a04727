from __future__ import annotations

from appliance.changes.impact import Again, Impact, in_words

OPENED = Again("ks2", "Class 4B", "maps.example", blocked_now=True, blocked_then=False)
CLOSED = Again("ks3", "", "game.example", blocked_now=False, blocked_then=True)
SAME = Again("ks3", "", "bbc.example", blocked_now=False, blocked_then=False)


def test_what_would_change_is_counted_by_profile_class_and_site() -> None:
    """Whoever releases a proposal sees whom it is about, before it is in force."""
    one, other = Impact(), Impact(left_out=2)
    one.count([OPENED, OPENED, SAME])
    other.count([CLOSED])
    one.add(other)
    told = one.as_dict(14)
    assert (told["judged"], told["left_out"]) == (4, 2)
    assert told["newly_allowed"]["classes"] == {"Class 4B": 2}
    words = "\n".join(in_words(told))
    assert "newly allowed: 2 requests" in words
    assert "profiles: ks3 1" in words
    assert "2 left out" in words


def test_many_sites_are_counted_and_not_all_named() -> None:
    """A change that opens a thousand sites fills no thousand lines."""
    impact = Impact()
    impact.count(OPENED._replace(host=f"{number}.example") for number in range(30))
    assert any("and 10 more" in line for line in in_words(impact.as_dict(1)))
    assert in_words({}) == ["no past decisions were judged again"]
