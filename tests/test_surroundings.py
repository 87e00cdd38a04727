from __future__ import annotations

from pathlib import Path

from appliance.events.hits import HITS_FILE, Hits
from appliance.gateway.reach import Reach as GatewayReach
from appliance.identity.networks import Networks
from appliance.lists.lists import Lists as RealLists
from appliance.model.url import parse_host
from appliance.surroundings import Identity, Lists, Reach, Told


def test_the_rooms_keep_what_the_journey_relies_upon(tmp_path: Path) -> None:
    """What the journey of a request asks for is what the rooms give, and none of it raises."""
    lists: Lists = RealLists.open(tmp_path / "blocklists", tmp_path)
    identity: Identity = Networks([], "ks1")
    reach: Reach = GatewayReach()
    told: Told = Hits(tmp_path / HITS_FILE)
    site = parse_host("site.example")
    assert lists.lookup(site).floor.hit is False
    assert lists.traits(site).pinned == ""
    assert identity.resolve("192.0.2.1").group == "ks1"
    assert reach.refuses(site) == ""
    assert list(told.news()) == []
