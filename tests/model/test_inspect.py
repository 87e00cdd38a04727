from __future__ import annotations

from appliance.model.inspect import DEPTH, Inspect, SiteRule, Sites, Traits


def test_a_rule_for_a_site_holds_below_it_and_the_nearest_counts() -> None:
    """A school's exception covers what belongs to the site, and nothing beside it."""
    wide = SiteRule("app.example", Inspect.NEVER, "b", "w")
    near = SiteRule("files.app.example", Inspect.CONTENT, "b", "w")
    sites = Sites({rule.host: rule for rule in (wide, near)})
    assert sites.of("app.example") is sites.of("a.b.app.example") is wide
    assert sites.of("x.files.app.example") is near
    assert sites.of("otherapp.example") is sites.of("example") is sites.of("") is None


def test_what_is_not_known_counts_as_having_pages() -> None:
    """A fault in a look-up looks into a site; it never lets it through unread."""
    assert Traits().pages
    assert sorted(Inspect, key=lambda one: DEPTH[one]) == list(Inspect)
