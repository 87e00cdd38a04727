from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.inspect import DEPTH, Inspect, SiteRule, Sites, Traits
from appliance.model.known import Match, Use
from appliance.policy.inspect import deepest, inspection
from tests.doubles.gateway import category, profile, rule

NEVER, ADDRESSES, CONTENT = Inspect.NEVER, Inspect.ADDRESSES, Inspect.CONTENT
CATEGORIES = {
    "finance": replace(category("finance"), inspect=NEVER),
    "health": replace(category("health"), inspect=NEVER),
    "news": category("news"),
}
PLAIN = Traits(pages=False)


def about(*names: str) -> tuple[Match, ...]:
    return tuple(Match(f"{name}-list", "1", "site.example", (name,)) for name in names)


def asked(
    matches: tuple[Match, ...] = (),
    traits: Traits = PLAIN,
    sites: dict[str, Inspect] | None = None,
    **rules: Any,
) -> Inspect:
    given_rules = {name: replace(rule(name, "acceptable"), inspect=level) for name, level in rules.items()}  # type: ignore[arg-type]  # no rating is read
    own = {host: SiteRule(host, level, "because", "set.yaml:1") for host, level in (sites or {}).items()}
    return inspection(
        "www.site.example", matches, traits, profile("ks2", rules=given_rules), CATEGORIES, Sites(own)
    ).level


def test_banks_and_health_are_not_read_by_default() -> None:
    """What a bank or a doctor says to somebody is nobody else's business."""
    assert asked(about("finance")) is asked(about("health", "news")) is NEVER
    assert asked(about("news")) is asked() is ADDRESSES


def test_a_profile_may_say_otherwise() -> None:
    """A school that must see what money games do can look, by a rule that it has to write."""
    assert asked(about("finance"), finance=ADDRESSES) is ADDRESSES
    assert asked(about("news"), news=CONTENT) is CONTENT
    assert asked(about("news"), news=NEVER) is NEVER


def test_a_site_of_which_lists_name_pages_is_always_looked_into() -> None:
    """No category, app, profile or exception hides a statutory list's page from it (S-18)."""
    pages = Traits(pages=True, pinned="Its app pins.")
    assert asked(about("finance"), pages) is ADDRESSES
    assert asked((), pages, {"site.example": NEVER}) is ADDRESSES
    assert asked(about("news"), Traits(pages=True), news=CONTENT) is CONTENT


def test_the_schools_word_on_a_site_comes_before_what_it_is_about() -> None:
    """An exception works in both directions, for the site and all below it."""
    assert asked((), PLAIN, {"site.example": NEVER}) is NEVER
    assert asked(about("finance"), PLAIN, {"www.site.example": CONTENT}) is CONTENT
    assert asked((), replace(PLAIN, pinned="x"), {"site.example": ADDRESSES}) is ADDRESSES


def test_apps_that_pin_are_passed_on() -> None:
    """An update that would only break under inspection goes through, judged by its name."""
    assert asked((), Traits(pages=False, pinned="Its app pins.")) is NEVER
    found = inspection("a.example", (), Traits(False, "Its app pins."), profile("ks2"), CATEGORIES, Sites())
    assert found.because == "Its app pins."


def test_the_profile_decides_where_nothing_else_does() -> None:
    """A guest network without the school's certificate can be judged by names alone."""
    guests = replace(profile("guest", rules={}), inspect=NEVER, inspect_where="guest.yaml:3")
    found = inspection("a.example", about("news"), PLAIN, guests, CATEGORIES, Sites())
    assert (found.level, found.rule) == (NEVER, "guest.yaml:3")


@pytest.mark.parametrize("use", [Use.ALLOW, Use.BLOCK, Use.HELP])
def test_only_what_a_site_is_about_counts(use: Use) -> None:
    """The school's own lists open and close; what is read is said elsewhere."""
    assert asked((Match("local", "1", "site.example", ("finance",), use),)) is ADDRESSES


@pytest.mark.slow
@given(st.lists(st.sampled_from(Inspect)), st.booleans())
def test_of_several_names_the_one_that_needs_most_decides(levels: list[Inspect], pages: bool) -> None:
    """A connection with two names is read if either of them has to be (domain fronting)."""
    found = [
        inspection(
            "a.example",
            (),
            Traits(pages),
            replace(profile("ks2"), inspect=level),
            CATEGORIES,
            Sites(),
        )
        for level in levels
    ]
    level = deepest(found).level
    assert DEPTH[level] == max((DEPTH[one.level] for one in found), default=1)
    assert level is not NEVER or not pages
