"""Addresses: one reading, the browser's."""

from __future__ import annotations

import ipaddress
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import url as url_module
from appliance.model.url import (
    MAX_LENGTH,
    UrlRefusedError,
    at,
    canonical_path,
    embedded_ipv4,
    parse_host,
    parse_typed,
    parse_url,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "urls"
WEB = ("http:", "https:", "ws:", "wss:")


def browser_cases() -> list[dict[str, Any]]:
    """Return the web-platform tests' absolute addresses; fails where the data is missing."""
    cases = json.loads(lzma.decompress((SHARED / "urltestdata.json.xz").read_bytes()))
    return [case for case in cases if case.get("base") in (None, "about:blank")]


def test_what_a_browser_reads_we_read_the_same() -> None:
    """Two readings of one address are the oldest way round a filter."""
    wrong = []
    for case in browser_cases():
        if case.get("failure") or case["protocol"] not in WEB:
            continue
        try:
            url = parse_url(case["input"])
        except UrlRefusedError:
            # Stricter than a browser only where no site can be meant: broken punycode, a host of dots.
            if not any(mark in case["hostname"] for mark in ("xn--", ".")):
                wrong.append(case["input"])
            continue
        expected = case["hostname"].strip("[]").strip(".")
        same_ip = url.ip is not None and embedded_ipv4(ipaddress.ip_address(expected)) == url.ip
        if url.host != expected and not same_ip:
            wrong.append(f"{case['input']!r}: {url.host} is not {expected}")
    assert not wrong


def test_what_a_browser_rejects_is_refused() -> None:
    """An address that no browser fetches is no address; guessing would open a gap."""
    accepted = []
    for case in browser_cases():
        for read in (parse_url, parse_typed):
            try:
                read(case["input"])
            except UrlRefusedError:
                continue
            if case.get("failure"):
                accepted.append(case["input"])
    assert not accepted


@pytest.mark.parametrize(
    "spelling",
    [
        "http://blocked.example/",
        "http://BLOCKED.example./",
        "http://blocked%2eexample/",
        "http://%62locked.example/",
        "http://ｂｌｏｃｋｅｄ.example/",
        "http://blocked。example/",
        "http://user:secret@blocked.example/",
        "http://good.example@blocked.example:80/#good.example",
        "http:\\\\blocked.example\\",
        "ht\ntp://blo\tcked.example/",
        "  http://blocked.example/  ",
        "http://blocked..example/",
        "http:blocked.example",
    ],
)
def test_every_spelling_is_one_host(spelling: str) -> None:
    """No way of writing a blocked host makes it another host."""
    assert parse_url(spelling).host == "blocked.example"


@pytest.mark.parametrize(
    ("spelling", "address"),
    [
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f000001/", "127.0.0.1"),
        ("http://0177.0.0.1/", "127.0.0.1"),
        ("http://127.1/", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1"),
        ("http://[::ffff:7f00:1]/", "127.0.0.1"),
        ("http://[64:ff9b::10.0.0.1]/", "10.0.0.1"),
        ("http://[2002:a00:1::]/", "10.0.0.1"),
        ("http://[::10.0.0.1]/", "10.0.0.1"),
        ("http://0xcb007114../", "203.0.113.20"),
        ("http://0xCB.0.0x7114..", "203.0.113.20"),
        ("http://0313.0.113.20../", "203.0.113.20"),
        ("http://127.1../", "127.0.0.1"),
        ("http://[0:0:0:0:0:0:0:1]/", "::1"),
    ],
)
def test_every_spelling_of_an_address_is_that_address(spelling: str, address: str) -> None:
    """Octal, hex, short and embedded IPv4 all lead to the same place, so they are the same (H27)."""
    assert parse_url(spelling).ip == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://a.example/",
        "//a.example",
        "http://a b/",
        "http://a\0b/",
        "http://./",
        "http://999.1../",
        "http://1.2.3.4.5../",
        "http://0x100000000../",
        "http://" + "a." * 200 + "example/",
        "https://h/" + "a" * MAX_LENGTH,
    ],
)
def test_what_is_no_web_address_is_refused(text: str) -> None:
    """Only what a browser would fetch over the web is judged; all else is refused."""
    with pytest.raises(UrlRefusedError):
        parse_url(text)


def test_a_typed_host_needs_no_scheme() -> None:
    """A technician types `example.org/page`; a word, a scheme or a blank is not taken for a host."""
    assert str(parse_typed("example.org:8080/a")) == "https://example.org:8080/a"
    for text in ("example", "mailto:a@example.org", "exa mple.org", "example.org\\x"):
        with pytest.raises(UrlRefusedError):
            parse_typed(text)


@pytest.mark.parametrize("text", ["", "a/b", "a?b", "a#b", "u@a", "a b", "a\\b", "a,b/", "\ud800"])
def test_a_host_is_nothing_but_a_host(text: str) -> None:
    """An SNI or list entry with anything more in it is refused, not half read."""
    with pytest.raises(UrlRefusedError):
        parse_host(text)


def test_a_host_may_be_an_address() -> None:
    """IPv6 comes with and without its brackets."""
    assert parse_host("::1").ip == parse_host("[::1]").ip == ipaddress.ip_address("::1")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("http://h", "/"),
        ("http://h/%2e%2e//a%2541", "/aA"),
        ("http://h/a/./b/../c/..", "/a/"),
        ("http://h/a%252e%252e/b", "/a../b"),
        ("http://h//x///y", "/x/y"),
        ("http://h/%25%32%35", "/%25"),
        ("http://h/a b", "/a%20b"),
        ("http://h/ü", "/%C3%BC"),
        ("http://h/p?q=%2561&r=/../", "/p?q=a&r=/../"),
    ],
)
def test_paths_are_canonical(text: str, path: str) -> None:
    """List entries and requests meet in one form (Safe Browsing v4, canonicalisation)."""
    assert canonical_path(parse_url(text)) == path


@pytest.mark.slow
@given(st.text(max_size=60))
def test_parsing_never_fails_otherwise(text: str) -> None:
    """Hostile text is a Url or a refusal; no other error can come out of the door."""
    try:
        url = parse_url(f"http://h.example/{text}")
    except UrlRefusedError:
        return
    assert canonical_path(url).startswith("/")
    assert canonical_path(url).isascii()


@pytest.mark.slow
@given(st.text(alphabet="abc/.%25E2", max_size=40))
def test_canonical_paths_are_stable(tail: str) -> None:
    """Canonicalising twice changes nothing, so an entry cannot miss itself."""
    url = parse_url(f"http://h/{tail}")
    once = canonical_path(url).partition("?")[0]
    assert canonical_path(parse_url(f"http://h{once}")) == once


def test_a_url_prints_as_it_is_reached() -> None:
    """Log and page show port, brackets and query, and no password."""
    assert str(parse_url("https://u:p@[2001:db8::1]:8443/a?b#c")) == "https://[2001:db8::1]:8443/a?b"


PIECES = ["a", "/", ".", "..", "%2e", "%", "?", "b.c", "//", "~", "\u00e9", "="]


@pytest.mark.slow
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_short_cut_to_the_canonical_path_changes_nothing(tail: str) -> None:
    """An address that needs no work gives what the whole work would have given."""
    url = parse_url(f"http://h/{tail}")
    whole = url_module._escape(
        url_module._SLASHES.sub(b"/", url_module._resolve_dots(url_module._unescape(url.path)))
    )
    query = url_module._escape(url_module._unescape(url.query))
    assert canonical_path(url) == (f"{whole}?{query}" if url.query else whole)


@pytest.mark.slow
@given(
    st.sampled_from(
        ["https://site.example/", "http://site.example:8080/", "https://192.0.2.7/", "https://[2001:db8::1]/"]
    ),
    st.lists(
        st.sampled_from(
            [
                *PIECES,
                "?",
                "/",
                ".",
                "..",
                "%2e",
                "%2E.",
                "'",
                "|",
                "\\",
                "é",
                "#",
                " ",
                "{",
                "~",
                "@",
                "&=",
                "\t",
            ]
        )
    ).map("".join),
)
def test_an_address_on_a_known_site_is_what_the_whole_would_be(site: str, tail: str) -> None:
    """A path that is read in the short way cannot become another than the browser's (dot segments)."""
    try:
        whole = parse_url(f"{site}{tail}")
    except UrlRefusedError:
        with pytest.raises(UrlRefusedError):
            at(parse_url(site), f"/{tail}")
        return
    assert at(parse_url(site), f"/{tail}") == whole


def test_an_address_on_a_known_site_has_the_usual_length_at_most() -> None:
    """However the path is read, an address that nobody sends is refused."""
    site = parse_url("https://site.example/")
    assert at(site, "/a/b.js?v=1") == parse_url("https://site.example/a/b.js?v=1")
    with pytest.raises(UrlRefusedError):
        at(site, "/" + "a" * MAX_LENGTH)
