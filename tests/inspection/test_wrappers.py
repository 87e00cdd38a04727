"""Sites that show other sites."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.inspection.wrappers import MOST_INNER, SITES, TooManyInnerError, inner_urls
from appliance.model.url import UrlRefusedError, parse_url


@pytest.mark.slow
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
        # as somebody tries it who has read how they work
        ("https://archive.ph/https://blocked.example/a", "https://blocked.example/a"),
        ("https://archive.today/http://blocked.example/a", "http://blocked.example/a"),
        ("https://archive.is/o/abcde/https://blocked.example/", "https://blocked.example/"),
        ("https://archive.vn/blocked.example", "https://blocked.example/"),
        ("https://archive.ph/?run=1&url=blocked.example", "https://blocked.example/"),
        ("https://archive.md/x@blocked.example/", "https://blocked.example/"),
        ("https://translate.google.co.uk/translate?sl=en&u=blocked.example", "https://blocked.example/"),
        ("https://translate.google.de/translate?U=blocked.example", "https://blocked.example/"),
        ("https://web.archive.org/web/blocked.example", "https://blocked.example/"),
        ("https://web.archive.org/%2Fweb%2F2020%2Fblocked.example", "https://blocked.example/"),
        ("https://web.archive.org//web//2020*/blocked.example*", "https://blocked.example/"),
        ("https://web.archive.org/web/2020/203.0.113.5/", "https://203.0.113.5/"),
        (
            "https://view.officeapps.live.com/op/v.aspx?SRC=http://blocked.example/a",
            "http://blocked.example/a",
        ),
        ("https://www.google.co.uk/amp/s/blocked.example/a", "https://blocked.example/a"),
        ("https://google.com/url?q=http%253A%252F%252Fblocked.example", "http://blocked.example/"),
        ("https://r.jina.ai/https:%5C%5Cblocked.example", "https://blocked.example/"),
        ("https://corsproxy.io/?https%3A%2F%2Fblocked.example", "https://blocked.example/"),
        ("https://i0.wp.com/blocked.example/a.jpg?w=300", "https://blocked.example/a.jpg?w=300"),
        (
            "https://webcache.googleusercontent.com/search?q=cache:blocked.example/+w",
            "https://blocked.example/",
        ),
        ("https://example.translate.goog/?_x_tr_hp=blocked-", "https://blocked.example/"),
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
        "https://web.archive.org/_static/js/bundle-playback.js",
        "https://s0.wp.com/wp-content/js/jquery.min.js",
        "https://www.google.com/search?q=blocked.example",
        "https://www.google.com/maps/a/blocked.example",
        "https://notgoogle.com/url?q=http://blocked.example",
        "https://google.com.blocked.example/url?q=http://other.example",
    ],
)
def test_an_ordinary_address_has_no_inner_one(address: str) -> None:
    """A parameter that looks like an address is none unless the site shows it (over-blocking)."""
    assert inner_urls(parse_url(address)) == ()


def test_wrappers_in_wrappers_are_followed_to_the_end() -> None:
    """Wrapping ten times hides nothing."""
    inner = "http://blocked.example/"
    for start in ["web.archive.org/web/2020", "archive.ph", "r.jina.ai", "translate.google.de/?u="] * 3:
        inner = f"https://{start}{'' if start.endswith('=') else '/'}{inner}"
    assert "http://blocked.example/" in [str(url) for url in inner_urls(parse_url(inner))]


def test_too_many_wrappers_are_no_way_through() -> None:
    """Whoever nests so many that nobody could judge them all is refused, and costs little (fail closed)."""
    inner = "http://blocked.example/"
    for _ in range(MOST_INNER + 1):
        inner = f"https://archive.ph/{inner}"
    with pytest.raises(TooManyInnerError):
        inner_urls(parse_url(inner))


@pytest.mark.slow
@settings(max_examples=40)
@given(st.permutations(["a.example", "blocked.example", "b.example"]), st.sampled_from(["u", "U", "%75"]))
def test_every_value_of_a_repeated_parameter_is_judged(values: list[str], name: str) -> None:
    """Which of several values a site takes, nobody knows: so all of them count, in any order."""
    query = "&".join(f"{name}={value}" for value in values)
    found = inner_urls(parse_url(f"https://translate.google.com/translate?{query}"))
    assert "blocked.example" in [url.host for url in found]


SPELLINGS = (
    lambda text: text,
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: text.replace("://", ":/"),
    lambda text: text.replace("https://", ""),
    lambda text: text.replace("https", "HTTPS").replace("blocked", "BLOCKED"),
)
STARTS = [
    *(f"{host}/" for host, wrapper in SITES.items() if wrapper.path == "tail"),
    *(f"{host}/x?u=" for host in SITES),
    *(f"{host}/x?Url=" for host in SITES),
    *("translate.google.fr/translate?hl=de&u=", "www.google.ie/amp/s/", "cdn.ampproject.org/c/s/"),
    *("web.archive.org/web/2001/", "web.archive.org/web/", "//web.archive.org//web/2001if_/"),
]


@pytest.mark.slow
@settings(max_examples=120)
@given(st.sampled_from(STARTS), st.sampled_from(SPELLINGS))
def test_no_spelling_hides_what_a_known_site_shows(start: str, spell: Callable[[str], str]) -> None:
    """Encoded once or twice, without its scheme or in capitals: the address inside is found."""
    url = parse_url(f"https://{start.lstrip('/')}{spell('https://blocked.example/page')}")
    assert "blocked.example" in [inner.host for inner in inner_urls(url)]


def test_the_readme_names_every_such_site() -> None:
    """A technician can look up which sites are seen through, and which are not."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    assert [host for host in SITES if f"`{host}`" not in readme] == []


@pytest.mark.slow
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
    with contextlib.suppress(TooManyInnerError):
        inner_urls(url)
