from __future__ import annotations

import pytest

from appliance.changes.store import ChangeError, Entry
from appliance.changing import Proposed
from appliance.lists.lists import Lists
from appliance.model.inspect import Traits
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.url import Url, parse_url
from appliance.releasing import entry_key

OLD = Match("local", "1", "bad.example", (), Use.BLOCK)


class Fake(Lists):
    """Lists that know one entry of the school's own."""

    def __init__(self) -> None:
        """Open nothing."""

    def lookup(self, url: Url) -> Known:
        return Known(Floor(FloorState.OK), (OLD,) if url.host == "bad.example" else ())

    def traits(self, url: Url) -> Traits:
        return Traits(url.host == "bad.example")


def test_a_proposals_entries_count_as_if_they_were_in_force() -> None:
    """What a release would open or take back is seen before it happens."""
    lists = Proposed(Fake(), (Entry("allow", "maps.example"), Entry("remove", "bad.example")))
    assert lists.lookup(parse_url("https://bad.example/")).matches == ()
    (match,) = lists.lookup(parse_url("https://www.maps.example/x")).matches
    assert match.use is Use.ALLOW
    assert lists.lookup(parse_url("https://other.example/")).matches == ()
    assert lists.traits(parse_url("https://bad.example/")) == Traits(pages=True)


def test_what_is_no_address_cannot_be_proposed() -> None:
    """A slip is told when it is made, and not at the release."""
    with pytest.raises(ChangeError, match="give a host"):
        entry_key("not a host")
