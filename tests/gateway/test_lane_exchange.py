from __future__ import annotations

import pytest

from appliance.gateway.actions import Carried
from appliance.gateway.lane_bodies import Chunked, Sized, UntilClose
from appliance.gateway.lane_exchange import Exchange, reader_of, way
from appliance.gateway.lane_heads import read_answer, read_request
from appliance.gateway.lane_pool import Target
from appliance.model.request import Request
from appliance.model.url import parse_url
from tests.doubles.gateway import filtering


@pytest.mark.parametrize(
    ("framing", "kind"),
    [(b"", type(None)), (b"Content-Length: 3\r\n", Sized), (b"Transfer-Encoding: chunked\r\n", Chunked)],
)
def test_a_request_waits_for_the_body_that_it_announced(framing: bytes, kind: type) -> None:
    """Where the body ends is known from the head, and goes to the site that was judged."""
    head = read_request(b"POST /x HTTP/1.1\r\nHost: site.example\r\n" + framing + b"\r\n")
    assert head is not None
    request = Request(parse_url("https://site.example:8443/x"), client="10.20.0.5")
    now = Exchange(head, Carried(request, filtering().judge(request), "7KQ4-M2XD"))
    assert type(now.body) is kind
    assert now.target == Target("site.example", 8443, tls=True)
    assert now.status == 0


@pytest.mark.parametrize(
    ("head", "method", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", Sized),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "GET", Chunked),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "GET", UntilClose),
        (b"HTTP/1.1 200 OK\r\n\r\n", "GET", UntilClose),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", type(None)),
        (b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", "GET", type(None)),
    ],
)
def test_an_answer_s_body_ends_as_its_head_says(head: bytes, method: str, kind: type) -> None:
    """One rule for where an answer ends, that of RFC 9112 6.3."""
    assert type(reader_of(read_answer(head), method)) is kind


def test_a_site_is_told_the_name_that_was_judged() -> None:
    """The usual port is not named, another one is (H32)."""
    assert way("https", "site.example", 443) == (Target("site.example", 443, tls=True), "site.example")
    assert way("http", "site.example", 443) == (Target("site.example", 443, tls=False), "site.example:443")
