from __future__ import annotations

import gzip

import pytest
from mitmproxy import http

from appliance.gateway.lane_heads import read_request
from appliance.gateway.parts import load_of
from appliance.model.request import Load
from appliance.policy.overrides import Grants
from tests.doubles.addon import Bench, done, status
from tests.doubles.gateway import MemoryLists
from tests.test_learning import LISTS, MemoryLearnt, School, grant

PICTURE = {
    "sec_fetch_dest": "image",
    "sec_fetch_mode": "no-cors",
    "sec_fetch_site": "cross-site",
    "referer": "https://lesson.example/",
    "accept": "image/avif,image/webp,*/*;q=0.8",
}
HTML = b'<!doctype html><img src="https://parts.example/a.png"><p>Hello</p>'


@pytest.fixture
def bench() -> Bench:
    """An addon at a school where one site is open for a lesson."""
    return with_grant()


def with_grant(*, learns: bool = True, learnt: MemoryLearnt | None = None) -> Bench:
    made = Bench(lists=MemoryLists(dict(LISTS)), learnt=learnt or MemoryLearnt())
    made.filtering.use(School().journey.policy)
    made.filtering.grant(Grants([grant(learns=learns)]))
    return made


async def answered(bench: Bench, flow: http.HTTPFlow, answer: http.Response) -> bytes:
    """Let a request go, and its answer come back; return the body that the client gets."""
    await done(bench.addon.requestheaders(flow))
    assert status(flow) == 0
    flow.response = answer
    await done(bench.addon.responseheaders(flow))
    body, stream = answer.raw_content or b"", answer.stream
    assert callable(stream)
    got = b"".join(_bytes(stream(body[place : place + 9])) for place in range(0, len(body), 9)) + _bytes(
        stream(b"")
    )
    await done(bench.addon.response(flow))
    return got


def _bytes(chunks: object) -> bytes:
    assert isinstance(chunks, bytes)
    return chunks


async def page(bench: Bench, answer: http.Response | None = None, **headers: str) -> http.HTTPFlow:
    """Load the lesson's page; unless said otherwise, it is the one with a picture at another site."""
    flow = bench.flow("https://lesson.example/page", **{"accept": "text/html,*/*;q=0.8", **headers})
    body = await answered(bench, flow, answer or http.Response.make(200, HTML, {"content-type": "text/html"}))
    assert flow.response is not None
    assert body == flow.response.raw_content, "the page itself passes as it is"
    return flow


def learnt(bench: Bench) -> set[str]:
    assert isinstance(bench.learnt, MemoryLearnt)
    return {need.host for need in bench.learnt.of(5).values() if need.open}


async def part(
    bench: Bench, url: str = "https://parts.example/a.png", method: str = "GET", **changes: str
) -> int:
    """Ask for a part as a browser does; return the status of a refusal, or 0."""
    flow = bench.flow(url, method, **{**PICTURE, **changes})
    flow.request.headers.update({name.replace("_", "-"): text for name, text in changes.items()})
    await done(bench.addon.requestheaders(flow))
    return status(flow)


async def test_a_page_brings_its_parts_and_they_are_on_record(bench: Bench) -> None:
    """S-23: closed before the page came, open after it, with the override and the page in the log."""
    assert await part(bench) == 403
    await page(bench)
    assert learnt(bench) == {"parts.example"}
    flow = bench.flow("https://parts.example/a.png", **PICTURE)
    body = await answered(bench, flow, http.Response.make(200, b"picture", {"content-type": "image/png"}))
    assert body == b"picture"
    kept = bench.recorder.kept[-1]
    assert (kept.decision.rule, kept.decision.page, kept.status) == ("override 5", "lesson.example", 200)
    assert await part(bench, sec_fetch_dest="document", sec_fetch_mode="navigate") == 403
    assert await part(bench, "https://www.bets.example/a.png") == 0, "no list names it"
    assert await part(bench, "https://bets.example/a.png") == 403
    bench.filtering.grant(Grants())
    assert await part(bench) == 403


async def test_headers_and_packed_pages_name_parts_as_well(bench: Bench) -> None:
    """A policy, a Link field, and a page that comes packed."""
    fields = {"content-type": "text/html; charset=utf-8", "content-security-policy": "img-src parts.example"}
    await page(bench, http.Response.make(200, b"<p>Hello</p>", fields))
    assert learnt(bench) == {"parts.example"}
    other = with_grant()
    fields = {"content-type": "text/html", "link": "<https://parts.example/a.css>; rel=preload; as=style"}
    await page(other, http.Response.make(200, b"<p>Hello</p>", fields))
    assert learnt(other) == {"parts.example"}
    packed = with_grant()
    flow = packed.flow("https://lesson.example/", accept="text/html", accept_encoding="br, gzip, zstd")
    answer = http.Response.make(200, b"", {"content-type": "text/html", "content-encoding": "gzip"})
    answer.data.content = gzip.compress(HTML)
    assert await answered(packed, flow, answer) == gzip.compress(HTML)
    assert learnt(packed) == {"parts.example"}
    assert flow.request.headers["accept-encoding"] == "gzip"


async def test_a_page_that_the_browser_has_comes_anew(bench: Bench) -> None:
    """A page that was seen at the last lesson names its parts for this one."""
    flow = await page(bench, if_none_match='"x"', if_modified_since="Sun, 22 Nov 2026 10:00:00 GMT")
    assert not {"if-none-match", "if-modified-since"} & {name.lower() for name in flow.request.headers}
    assert flow.request.headers["accept-encoding"] == "identity"
    other = bench.flow(
        "https://school.example/", accept="text/html", if_none_match='"x"', accept_encoding="br"
    )
    await done(bench.addon.requestheaders(other))
    assert (other.request.headers["if-none-match"], other.request.headers["accept-encoding"]) == ('"x"', "br")


@pytest.mark.parametrize(
    ("code", "kind", "coding"),
    [
        (404, "text/html", ""),
        (302, "text/html", ""),
        (200, "text/plain", ""),
        (200, "text/html", "br"),
        (200, "", ""),
    ],
)
async def test_what_is_no_page_that_can_be_read_teaches_nothing(
    bench: Bench, code: int, kind: str, coding: str
) -> None:
    """An error page, or one that is packed in a way that nobody asked for, passes and names nobody."""
    flow = bench.flow("https://lesson.example/", accept="text/html")
    answer = http.Response.make(code, HTML, {"content-type": kind})
    answer.headers["content-encoding"] = coding
    assert await answered(bench, flow, answer) == HTML
    assert learnt(bench) == set()


async def test_other_sites_teach_nothing(bench: Bench) -> None:
    """A page of an allowed site, a part, or of an override that brings nothing names what it likes."""
    flow = bench.flow("https://school.example/", accept="text/html")
    await answered(bench, flow, http.Response.make(200, HTML, {"content-type": "text/html"}))
    assert learnt(bench) == set()
    await page(bench)
    css = b"p { background: url(https://bets.example/a.png) }"
    flow = bench.flow("https://parts.example/a.css", **{**PICTURE, "sec_fetch_dest": "style"})
    await answered(bench, flow, http.Response.make(200, css, {"content-type": "text/css"}))
    assert learnt(bench) == {"parts.example"}
    quiet = with_grant(learns=False)
    await page(quiet)
    assert learnt(quiet) == set()


@pytest.mark.parametrize(
    "kind", ["text/html", "text/html; charset=utf-8", "application/pdf", "text/plain", ""]
)
async def test_a_page_in_place_of_a_part_does_not_pass(kind: str, bench: Bench) -> None:
    """Whoever forges what a browser says gets no page for it, and the attempt is on record first."""
    await page(bench)
    flow = bench.flow("https://parts.example/secret", **PICTURE)
    answer = http.Response.make(200, b"a whole page", {"content-type": kind, "x-secret": "more"})
    assert await answered(bench, flow, answer) == b""
    assert answer.status_code == 403
    assert dict(answer.headers) == {"cache-control": "no-store", "content-length": "0"}
    kept = bench.recorder.kept[-1]
    assert (kept.decision.blocked, kept.decision.flagged, kept.status) == (True, True, 403)
    assert kept.decision.because.startswith("What came back is a page")


@pytest.mark.parametrize("code", [301, 302, 307, 304, 204])
async def test_an_answer_that_says_all_in_its_head_brings_no_body(code: int, bench: Bench) -> None:
    """A page behind the address of a redirect is a page as well."""
    await page(bench)
    flow = bench.flow("https://parts.example/moved", **PICTURE)
    fields = {
        "content-type": "text/html",
        "location": "https://parts.example/a.png",
        "transfer-encoding": "chunked",
    }
    answer = http.Response.make(code, b"a whole page", fields)
    assert await answered(bench, flow, answer) == b""
    assert (answer.status_code, answer.headers["location"]) == (code, "https://parts.example/a.png")
    assert "transfer-encoding" not in answer.headers


async def test_what_a_browser_asks_beforehand_is_answered(bench: Bench) -> None:
    """Fonts and data of other sites need it (CORS); it brings no body."""
    await page(bench)
    cors = {
        **PICTURE,
        "sec_fetch_mode": "cors",
        "sec_fetch_dest": "empty",
        "origin": "https://lesson.example",
    }
    for body, code in ((b"", 200), (b"words", 403)):
        flow = bench.flow("https://parts.example/data", "OPTIONS", **cors)
        answer = http.Response.make(200, body, {"content-type": "text/plain"})
        assert await answered(bench, flow, answer) == b""
        assert answer.status_code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"content_length": "5"},
        {"transfer_encoding": "chunked"},
        {"upgrade": "websocket"},
        {"origin": "null"},
        {"referer": "https://bets.example/"},
        {"referer": "x" * 20_000},
        {"sec_fetch_user": "?1"},
        {"accept": "text/html"},
        {"sec_fetch_dest": "iframe"},
    ],
)
async def test_what_is_no_part_stays_closed(bench: Bench, changes: dict[str, str]) -> None:
    """Uploads, sockets, frames, pages of other sites, and what nobody can read."""
    await page(bench)
    assert await part(bench, **changes) == 403


async def test_nothing_is_sent_with_a_part(bench: Bench) -> None:
    """HTTP/2 can carry a body that no field announces; it goes nowhere."""
    await page(bench)
    flow = bench.flow("https://parts.example/a.png", **PICTURE)
    await done(bench.addon.requestheaders(flow))
    assert callable(flow.request.stream)
    assert flow.request.stream(b"words") == b""


async def test_what_cannot_be_kept_costs_the_page_nothing() -> None:
    """With a full disk the page passes, and its parts stay closed."""
    bench = with_grant(learnt=MemoryLearnt(broken=OSError("disk full")))
    await page(bench)
    assert await part(bench) == 403
    assert bench.metrics.faults == []


async def test_connections_in_advance_are_no_attempts(bench: Bench) -> None:
    """A browser that connects to a part's host before it asks has done nothing that anybody must see."""
    await page(bench)
    kept = len(bench.recorder.kept)
    for host, more in (("parts.example", 0), ("bets.example", 1)):
        client = bench.connect()
        bench.client = client
        await bench.addon.http_connect(bench.connect_flow(host, 443))
        bench.addon.tls_clienthello(bench.hello(host, (host, 443)))
        await bench.addon.client_disconnected(client)
        assert len(bench.recorder.kept) == kept + more, host


def test_pages_of_a_lesson_go_the_long_way_and_others_do_not() -> None:
    """What the page names is learnt in one place; an override that brings nothing keeps the short way."""
    for learns, lean in ((True, False), (False, True)):
        bench = with_grant(learns=learns)
        head = read_request(b"GET http://lesson.example/ HTTP/1.1\r\nHost: lesson.example\r\n\r\n")
        assert head is not None
        assert (bench.lane(None).admit(bench.client, head) is not None) is lean


def test_what_a_browser_says_is_read_strictly() -> None:
    """Whatever is there and cannot be read is never taken for nothing."""
    request = http.Request.make("GET", "https://parts.example/", b"", {})
    assert load_of(request) == Load(sends=False)
    request.headers["referer"], request.headers["origin"] = "no address", "null"
    assert (load_of(request).referer, load_of(request).origin) == ("?", "?")
    request.headers["accept"] = "*/*"
    assert load_of(request).document is False
    request.headers["accept"] = "text/HTML"
    assert load_of(request).document is True
