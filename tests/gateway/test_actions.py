from __future__ import annotations

import re
from dataclasses import replace

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from appliance.gateway import actions
from appliance.gateway.actions import Carried
from appliance.gateway.pages import Answer
from appliance.inspection.search import MAX_READ
from appliance.model.decision import Reason
from appliance.model.request import Request
from appliance.model.url import parse_url
from tests.doubles.gateway import filtering

PAGE = Answer(403, (("content-type", "text/html"), ("x-name", "Ysgol Tŷ")), b"<p>no</p>")


def carried(url: str = "https://site.example/a?q=1") -> Carried:
    request = Request(parse_url(url), client="10.20.0.5")
    return Carried(request, filtering().judge(request), "7KQ4-M2XD")


def h1_flow(**headers: str) -> http.HTTPFlow:
    flow = tflow.tflow()
    for name, value in headers.items():
        flow.request.headers[name.replace("_", "-")] = value
    return flow


def test_a_reference_can_be_read_aloud() -> None:
    """A child tells eight letters to a teacher, and no two pages have the same."""
    made = {actions.new_reference() for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", one) for one in made)


@pytest.mark.parametrize(("method", "body"), [("GET", b"<p>no</p>"), ("POST", b"<p>no</p>"), ("HEAD", b"")])
def test_an_answer_goes_out_and_the_body_is_not_asked_for(method: str, body: bytes) -> None:
    """A refused upload is answered at once, and no "100 Continue" invites it (H4, H5)."""
    flow = h1_flow(expect="100-continue")
    flow.request.method = method
    actions.answer(flow, PAGE)
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.raw_content) == (403, body)
    assert flow.response.headers["content-type"] == "text/html"
    assert "expect" not in flow.request.headers
    assert flow.request.stream is True


def test_a_header_that_is_no_latin_1_breaks_no_answer() -> None:
    """A school's name in another alphabet cannot turn a block page into an error."""
    flow = h1_flow()
    actions.answer(flow, Answer(403, (("x-name", "学校"),), b""))
    assert flow.response is not None
    assert flow.response.headers["x-name"] == "??"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://site.example/", "site.example"),
        ("https://site.example:8443/", "site.example:8443"),
        ("http://site.example/", "site.example"),
        ("http://site.example:443/", "site.example:443"),
        ("http://[2001:db8::7]:8080/", "[2001:db8::7]:8080"),
    ],
)
def test_the_site_is_told_the_name_that_was_judged(url: str, host: str) -> None:
    """Neither another spelling of the host nor an address in the request line reaches the site (H32)."""
    flow = h1_flow(host="SITE.example.", upgrade="h2c", http2_settings="AAMAAABk", available_dictionary=":x:")
    flow.request.authority = "other.example"
    actions.forward(flow, carried(url))
    assert (flow.request.host, flow.request.port) == (parse_url(url).host, parse_url(url).port)
    assert flow.request.headers.get_all("host") == [host]
    assert flow.request.data.authority == b""
    assert not {"upgrade", "http2-settings", "available-dictionary"} & {
        name.lower() for name in flow.request.headers
    }


def test_an_http2_site_is_told_by_its_authority() -> None:
    """In HTTP/2 the judged name stands in :authority, and nowhere else."""
    flow = h1_flow(host="site.example")
    flow.request.http_version = "HTTP/2.0"
    actions.forward(flow, carried("https://site.example:8443/"))
    assert flow.request.data.authority == b"site.example:8443"
    assert "host" not in flow.request.headers


def test_a_websocket_upgrade_is_kept() -> None:
    """Only the upgrade to unencrypted HTTP/2, which would pass unread, is taken away."""
    flow = h1_flow(upgrade="websocket")
    actions.forward(flow, carried())
    assert flow.request.headers["upgrade"] == "websocket"


def test_bodies_are_counted_and_not_kept() -> None:
    """A lesson's videos need no memory, and the record still says how much passed (H8)."""
    flow, passing = tflow.tflow(resp=True), carried()
    assert flow.response is not None
    flow.response.headers["alt-svc"] = 'h3=":443"'
    actions.forward(flow, passing)
    actions.pass_back(flow, passing)
    assert callable(flow.request.stream)
    assert callable(flow.response.stream)
    assert [flow.request.stream(b"abc"), flow.request.stream(b"")] == [b"abc", b""]
    assert flow.response.stream(b"12345") == b"12345"
    assert (passing.sent, passing.received) == (3, 5)
    assert "alt-svc" not in flow.response.headers


def test_search_words_in_a_form_are_read_as_it_passes() -> None:
    """Nothing waits for the words, and no more than a form's beginning is kept (H8, S-40)."""
    flow, passing = (
        h1_flow(content_type="application/x-www-form-urlencoded"),
        carried("https://duckduckgo.com/"),
    )
    passing = replace(passing, request=replace(passing.request, method="POST"))
    actions.forward(flow, passing)
    assert callable(flow.request.stream)
    assert [flow.request.stream(each) for each in (b"q=ow", b"ls&pad=", b"x" * 9000, b"")][2] == b"x" * 9000
    assert (passing.sent, len(passing.form or b"")) == (9011, MAX_READ)
    assert actions.access_of(passing, 200).search_term == "owls"


def test_no_answer_needs_no_passing() -> None:
    """A site that never answered leaves nothing to stream."""
    flow = h1_flow()
    actions.pass_back(flow, carried())
    assert flow.response is None


def test_the_record_says_what_happened() -> None:
    """Everything a safeguarding lead asks for is in the one event: who, what, when, why, how much (S-40)."""
    passing = carried("https://www.google.com/search?q=football")
    passing.sent, passing.received = 3, 5
    kept = actions.access_of(passing, 200)
    assert (kept.reference, kept.client, kept.host) == ("7KQ4-M2XD", "10.20.0.5", "www.google.com")
    assert kept.url == "https://www.google.com/search?q=football"
    assert kept.search_term == "football"
    assert (kept.status, kept.bytes_sent, kept.bytes_received) == (200, 3, 5)
    assert kept.at.utcoffset() is not None
    assert kept.decision is passing.judgement.decision


def test_the_address_of_a_floor_hit_is_not_recorded() -> None:
    """Suspected illegal addresses are stored nowhere (ILL-1)."""
    kept = actions.access_of(carried("https://floor.example/secret?q=word"), 403)
    assert kept.decision.reason is Reason.FLOOR
    assert (kept.url, kept.host, kept.search_term) == (None, "", "")
    assert "secret" not in repr(kept)
    assert "floor.example" not in repr(kept)
