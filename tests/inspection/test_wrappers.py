"""Sites that show other sites."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inspection.wrappers import MAX_DEPTH, inner_urls
from appliance.model.url import UrlRefusedError, parse_url


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("https://blocked-example.translate.goog/page?_x_tr_sl=en", "https://blocked.example/page"),
        ("https://www-my--site-example.translate.goog/", "https://www.my-site.example/"),
        ("https://translate.google.com/translate?u=http://blocked.example/a", "http://blocked.example/a"),
        ("https://blocked-example.cdn.ampproject.org/c/s/blocked.example/a", "https://blocked.example/a"),
        ("https://cdn.ampproject.org/v/s/blocked.example/a", "https://blocked.example/a"),
        ("https://web.archive.org/web/2020/http://blocked.example/a", "http://blocked.example/a"),
        ("https://web.archive.org/web/20200101000000if_/http:/blocked.example/", "http://blocked.example/"),
        ("https://web.archive.org/web/2/http://blocked.example/", "http://blocked.example/"),
        ("https://web.archive.org/save/https://blocked.example/", "https://blocked.example/"),
        ("https://archive.ph/newest/https://blocked.example/", "https://blocked.example/"),
        (
            "https://webcache.googleusercontent.com/search?q=cache:x1:blocked.example/a",
            "https://blocked.example/a",
        ),
        ("https://www.google.com/url?sa=t&url=https%3A%2F%2Fblocked.example%2F", "https://blocked.example/"),
    ],
)
def test_the_inner_address_is_found(outer: str, inner: str) -> None:
    """A blocked site does not open through its translation, cache or archive (evasion: wrappers)."""
    assert [str(url) for url in inner_urls(parse_url(outer))] == [inner]


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/?u=http://blocked.example/",
        "https://translate.google.com/",
        "https://web.archive.org/about",
    ],
)
def test_an_ordinary_address_has_no_inner_one(address: str) -> None:
    """A parameter that looks like an address is none unless the site shows it (over-blocking)."""
    assert inner_urls(parse_url(address)) == ()


def test_wrappers_in_wrappers_are_followed_to_an_end() -> None:
    """Wrapping twice hides nothing, and wrapping for ever costs nothing."""
    inner = "http://blocked.example/"
    for _ in range(10):
        inner = f"https://web.archive.org/web/2020/{inner}"
    found = inner_urls(parse_url(inner))
    assert len(found) == MAX_DEPTH
    twice = inner_urls(
        parse_url("https://web.archive.org/web/2020/https://web.archive.org/web/2021/http://b.example/")
    )
    assert str(twice[-1]) == "http://b.example/"


@given(
    st.text(max_size=60),
    st.sampled_from(["translate.google.com/?u=", "web.archive.org/web/2020/", "cdn.ampproject.org/"]),
)
def test_hostile_tails_break_nothing(tail: str, start: str) -> None:
    """What stands inside may be anything; the outer address is then judged alone."""
    try:
        url = parse_url(f"https://{start}{tail}")
    except UrlRefusedError:
        return
    inner_urls(url)
