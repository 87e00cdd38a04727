"""What the lists know."""

from __future__ import annotations

from appliance.model.known import Floor, FloorState, Match


def test_the_longer_entry_is_the_more_specific() -> None:
    """`shop.example/sale` says more than `shop.example`: the school's own decisions are weighed by it."""
    site, page = Match("a", "1", "shop.example", ()), Match("a", "1", "shop.example/sale", ())
    assert page.length > site.length


def test_a_floor_hit_is_told_by_its_list_alone() -> None:
    """The statutory answer has no room for an address, so none can leak."""
    assert Floor(FloorState.OK, list="iwf").hit
    assert not Floor(FloorState.OK).hit
    assert not {"url", "entry", "host"} & set(Floor.__dataclass_fields__)
