"""AdBlock and AdGuard DNS rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.formats_adblock import adblock
from appliance.lists.formats_line import Skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("||a.example^", ("a.example",)),
        ("||a.example", ("a.example",)),
        ("||a.example^|", ("a.example",)),
        ("||*.a.example^", ("a.example",)),
        ("||a.example/^", ("http://a.example/",)),
        ("||a.example/path/", ("http://a.example/path/",)),
        ("||a.example/path*", ("http://a.example/path",)),
        ("||a.example^$important", ("a.example",)),
        ("@@||a.example^", ("@@a.example",)),
        (".a.example^", ("a.example",)),
        ("://a.example^", ("a.example",)),
        ("http://a.example^", ("a.example",)),
        ("|https://a.example/x", ("http://a.example/x",)),
        ("a.example", ("a.example",)),
        ("! comment", None),
        ("# comment", None),
        ("[Adblock Plus 2.0]", None),
    ],
)
def test_rules_that_name_a_site(line: str, expected: object) -> None:
    """The anchors that real lists use all lead to the host; comments are furniture."""
    assert adblock(line) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "example.org##.advert",
        "##.advert",
        "example.org#@#.advert",
        "example.org#?#div:has(a)",
        "example.org#$#body { color: red }",
        "||a.example^$third-party",
        "||a.example^$domain=b.example",
        "||a.example^$dnsrewrite=1.2.3.4",
        "/banner[0-9]+/",
        "/ads/banner/",
        "-ad-300x250.",
        "||ad.*^",
        "||a.example/*/advert",
        ".com/ads/",
        "&ad_channel=",
    ],
)
def test_rules_that_a_gateway_cannot_honour_are_skipped(line: str) -> None:
    """Cosmetic, conditional and pattern rules are counted with a reason, never half-read."""
    assert isinstance(adblock(line), Skip)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.text(min_size=1).map(str.strip).filter(bool))
def test_any_line_has_a_meaning(line: str) -> None:
    """No line, however odd, stops a list from loading."""
    adblock(line)
