from __future__ import annotations

import gzip
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.inspection.loads import LIMIT, MOST_NAMES, Reader, link_hosts, policy_hosts
from tests.reflex import dice

PARTS = frozenset({"parts.example"})


def read(text: str | bytes, *, style: bool = False, coding: str = "", size: int = 7) -> frozenset[str]:
    data = text.encode() if isinstance(text, str) else text
    reader, found = Reader(style=style, coding=coding), frozenset[str]()
    for place in range(0, len(data), size):
        found |= reader.feed(data[place : place + size])
    return found | reader.feed(b"")


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://parts.example/a.js"></script>',
        "<script async src=//parts.example/a.js></script>",
        "<IMG alt='a > b' SRC='HTTPS://PARTS.example:443/a.png'>",
        '<img src=" https://user@parts.example/a.png ">',
        '<img srcset="/small.png 1x, https://parts.example/large.png 2x">',
        '<link rel="preload stylesheet" href="https://parts.example/a.css">',
        '<video poster="http://parts.example/a.jpg"></video>',
        '<video><source src="https://parts.example/a.webm"><track src="/a.vtt"></video>',
        '<base href="https://parts.example/below/">',
        "<style>@import 'https://parts.example/a.css';</style>",
        "<style>p { background: url( 'https://parts.example/a.png' ) }</style>",
        '<img src="https://parts.example/?a=1&amp;b=2">',
    ],
)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_what_a_page_loads_is_found_however_it_arrives(text: str, size: int) -> None:
    """A page is whole at its first load only if what it names is known before its browser asks for it."""
    assert read(f"<!doctype html><p>Hello</p>{text}<p>Bye</p>", size=size) == PARTS


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://parts.example/">a link</a>',
        '<link rel="canonical" href="https://parts.example/">',
        "https://parts.example/ is a nice site, says somebody in a forum",
        '<img alt="src=https://parts.example/a.png">',
        '<img alt="<img src=https://parts.example/a.png" src="/own.png">',
        "&lt;img src=https://parts.example/a.png&gt;",
        '<iframe src="https://parts.example/"></iframe>',
        '<form action="https://parts.example/"><embed src="https://parts.example/"></form>',
        '<img src="/own.png"><img src="own.png"><img src="data:image/png,x">',
        '<img src="https://192.0.2.7/a.png"><img src="https://printer/a.png"><img src="https://[::1]/a.png">',
        '<img src="ftp://parts.example/a.png"><script src="wss://parts.example/"></script>',
        "url(https://parts.example/a.png)",
        '<imgs src="https://parts.example/a.png">',
    ],
)
def test_what_a_page_does_not_load_names_nobody(text: str) -> None:
    """What a pupil writes into a wiki is text, and opens nothing; nor does a link, a frame or a form."""
    assert read(text) == frozenset()


def test_a_style_sheet_names_what_it_loads() -> None:
    """Fonts and pictures lie where the style says, and not where the page does."""
    text = "@font-face { src: url(https://parts.example/a.woff2) } p { background: url(own.png) }"
    for size in (1, 5, 1000):
        assert read(text, style=True, size=size) == PARTS


@pytest.mark.slow
def test_what_is_packed_is_read_and_a_bomb_is_not_unpacked() -> None:
    """DFE: a page of some bytes that unpacks to gigabytes costs a filter nothing."""
    assert read(gzip.compress(b'<img src="https://parts.example/a.png">'), coding="gzip") == PARTS
    assert read(b"no gzip <img src=https://parts.example/>", coding="gzip") == frozenset()
    bomb = gzip.compress(b" " * 50_000_000, compresslevel=1)
    reader, began = Reader(coding="x-gzip"), time.process_time()
    reader.feed(bomb)
    assert reader.done
    assert time.process_time() - began < 0.5


def test_only_the_beginning_of_a_page_is_read_and_so_many_names() -> None:
    """Whatever a page claims to be, it holds up nobody and fills no memory."""
    tag = '<img src="https://parts.example/a.png">'
    assert read(" " * LIMIT + tag, size=65_536) == frozenset()
    many = "".join(f'<img src="https://a{number}.example/">' for number in range(300))
    assert MOST_NAMES <= len(read(many, size=512)) < 2 * MOST_NAMES
    reader = Reader()
    reader.feed(b"")
    assert reader.feed(tag.encode()) == frozenset()


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["<img ", '<img "', '<img "<img" ', "<style>", "<style>url( ", "<link rel=", '<img ""']
)
def test_a_page_that_is_made_to_be_slow_is_not(piece: str) -> None:
    """H-fuzz: whoever writes pages for this reader gets no more of a worker's time than others."""
    data, reader, began = (piece * (LIMIT // len(piece))).encode(), Reader(), time.process_time()
    for place in range(0, len(data), 16_384):
        reader.feed(data[place : place + 16_384])
    assert time.process_time() - began < 1.5


@pytest.mark.slow
@given(st.binary(max_size=600), st.booleans(), st.sampled_from(["", "gzip"]))
@settings(max_examples=dice(60))
def test_no_page_breaks_the_reader(data: bytes, style: bool, coding: str) -> None:
    """Whatever bytes a site sends, the page goes on to its reader."""
    assert read(data, style=style, coding=coding, size=64) is not None


def test_a_policy_names_hosts_one_by_one_and_no_families() -> None:
    """`*.example` in a policy would open everybody's sites below it."""
    policy = (
        "default-src 'self' https:; IMG-SRC https://parts.example:443/below data: *.family.example *; "
        "script-src-elem fonts.example 'nonce-abc.def' blob:; frame-src frames.example; "
        "report-uri https://reports.example/x; connect-src wss://socket.example localhost 192.0.2.7"
    )
    assert policy_hosts([policy, "font-src https://more.example, style-src https://style.example"]) == {
        "parts.example",
        "fonts.example",
        "more.example",
        "style.example",
    }
    assert policy_hosts([]) == policy_hosts([";;,", "img-src"]) == frozenset()


def test_link_fields_name_what_the_browser_is_to_load() -> None:
    """A header can say before the page does what it will need."""
    link = '<https://parts.example/a.css>; rel="preload"; as=style, </own.js>; rel=preload'
    link += ", <//fonts.example>; rel=preconnect"
    assert link_hosts([link]) == {"parts.example", "fonts.example"}
    assert (
        link_hosts(['<https://parts.example/2>; rel="next"', "<https://parts.example/>", "junk <"]) == set()
    )
