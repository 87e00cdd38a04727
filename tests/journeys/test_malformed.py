"""Requests and answers that no two programs read alike: each is answered, and nothing passes unjudged."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journeys.lab import BOTH, Lab, Via, drain
from tests.journeys.origin import HELLO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: gambling.example\r\n\r\n"


def head(via: Via, lines: bytes, host: bytes = b"education.example", path: bytes = b"/odd") -> bytes:
    """Return a request head as this way to the gateway wants it; `lines` come after the request line."""
    target = b"http://" + host + path if via is Via.PROXY else path
    return b"GET " + target + b" HTTP/1.1\r\n" + lines + b"\r\n"


HOST = b"Host: education.example\r\n"
MALFORMED = {
    "two hosts": HOST + b"Host: gambling.example\r\n",
    "the same host twice": HOST + HOST,
    "no host": b"Accept: */*\r\n",
    "a folded header": HOST + b"X-A: b\r\n c: d\r\n",
    "two hosts in one": b"Host: education.example, gambling.example\r\n",
    "a host with userinfo": b"Host: gambling.example@education.example\r\n",
    "a host with a path": b"Host: education.example/x\r\n",
    "a host with a blank": b"Host: education.example x\r\n",
    "a blank before the colon": b"Host : education.example\r\n",
    "two framings": HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "two lengths": HOST + b"Content-Length: 4\r\nContent-Length: 60\r\n",
    "an unknown framing": HOST + b"Transfer-Encoding: xchunked\r\n",
    "a bare line feed in a name": HOST + b"X\n-A: b\r\n",
    "NUL in a value": HOST + b"X-A: a\0b\r\n",
    "a negative length": HOST + b"Content-Length: -1\r\n",
}


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("what", MALFORMED)
def test_what_can_be_read_in_two_ways_is_refused(lab: Lab, what: str, via: Via) -> None:
    """Request smuggling: the gateway must not judge one request while the site reads another (H32)."""
    seen = len(lab.origin.seen)
    got = lab.raw(head(via, MALFORMED[what]) + b"0\r\n\r\n" + SMUGGLED, via=via)
    status = int(got.split()[1])
    if (what, via, status) != ("no host", Via.PROXY, 200):  # there the address says it all
        assert status in {400, 421}, got[:300]
        assert HELLO.encode() not in got
        assert len(lab.origin.seen) == seen
    assert lab.origin.packets_to_blocked() == 0


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    "path",
    [
        b"/a\x00b",
        b"/a b",
        b"/\x7f",
        b"/" + b"a" * 65_000,
        b"http://gambling.example/",
        b"//gambling.example/x",
    ],
)
def test_an_address_that_is_odd_never_leads_to_a_blocked_site(lab: Lab, path: bytes, via: Via) -> None:
    """Whatever stands in the request line, what is contacted is what was judged, or nothing."""
    got = lab.raw(
        b"GET " + path + b" HTTP/1.1\r\nHost: education.example\r\nConnection: close\r\n\r\n", via=via
    )
    assert lab.origin.packets_to_blocked() == 0
    assert got[:9] == b"HTTP/1.1 ", got[:200]


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    "host", ["gam%62ling.example", "gambling。example", "ｇambling.example", "gambling.example%00"]
)
def test_a_host_that_a_browser_would_have_tidied_up_opens_nothing(lab: Lab, host: str, via: Via) -> None:
    """A spelling that reaches the site if the next program decodes it is refused, or judged as that site."""
    lines = b"Host: " + host.encode() + b"\r\nConnection: close\r\n"
    got = lab.raw(head(via, lines, host.encode()), via=via)
    assert got.split()[1] in {b"400", b"403"}
    if via is Via.PROXY:
        target = host.encode() + b":443"
        tunnel = lab.raw(b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n\r\n")
        assert tunnel.split()[1] in {b"400", b"403"}
    assert lab.origin.packets_to_blocked() == 0


@pytest.mark.parametrize("via", BOTH)
def test_a_very_long_address_is_refused_and_recorded(lab: Lab, via: Via) -> None:
    """64 KB of address can hide anything, so it is not judged by halves."""
    before = lab.total("gateway_incomplete_requests_total")
    got = lab.raw(head(via, HOST, path=b"/" + b"a" * 70_000), via=via)
    assert got.split()[1] in {b"400", b"414", b"431"}
    assert HELLO.encode() not in got
    assert lab.total("gateway_incomplete_requests_total") == before + 1


@pytest.mark.parametrize("via", BOTH)
def test_very_long_headers_are_refused(lab: Lab, via: Via) -> None:
    """100 KB of headers, and more that never end, cost the gateway a bounded amount of memory."""
    lines = HOST + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(100))
    assert lab.raw(head(via, lines), via=via).split()[1] == b"431"


def test_a_request_that_never_ends_holds_nobody_up(lab: Lab) -> None:
    """A client that drips one byte a second is cut off at last, and others are served meanwhile."""
    with ThreadPoolExecutor() as both:
        assert list(both.map(lambda via: _drip(lab, via), BOTH)) == [b"408", b"408"]


def _drip(lab: Lab, via: Via) -> bytes:
    with lab.dial(via=via) as wire:
        wire.sendall(head(via, HOST)[:-2])
        assert lab.curl("https://education.example/", via=via).status == 200
        wire.settimeout(1)
        for _ in range(60):
            with contextlib.suppress(TimeoutError):
                return (wire.recv(4096).split() or [b"cut off", b"cut off"])[1]
            wire.sendall(b"X")
    return b"still waiting"


@pytest.mark.parametrize("via", BOTH)
def test_junk_that_claims_to_be_compressed_passes_as_it_is(lab: Lab, via: Via) -> None:
    """What the gateway does not need to read cannot make it fail, and so cannot open it (H2)."""
    got = lab.curl("https://education.example/junk", "--raw", via=via)
    assert (got.status, got.body) == (200, f"no gzip, {HELLO}")


@pytest.mark.parametrize("via", BOTH)
def test_junk_that_claims_to_be_compressed_does_not_open_a_blocked_site(lab: Lab, via: Via) -> None:
    """A pupil must not be able to make the filter stumble (H2)."""
    got = lab.curl("https://gambling.example/", "-H", "Content-Encoding: gzip", "-d", "junk", via=via)
    assert got.status == 403
    assert lab.origin.packets_to_blocked() == 0


@pytest.mark.parametrize("via", BOTH)
def test_trailers_of_a_site_do_not_hang_the_page(lab: Lab, via: Via) -> None:
    """A site that sends header fields after the body is read to its end (H29)."""
    lab.origin.answers["/trailers"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    got = lab.curl("http://odd.education.example/trailers", via=via)
    assert (got.code, got.status, got.body) == (0, 200, "hello")


@pytest.mark.parametrize("via", BOTH)
def test_early_hints_of_a_site_do_not_stand_for_its_page(lab: Lab, via: Via) -> None:
    """A site that sends 103 Early Hints shows its page, and the record has the page's status."""
    lab.origin.answers["/hints"] = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    )
    got = lab.curl("http://odd.education.example/hints", via=via)
    assert (got.code, got.status, got.body) == (0, 200, "hello")
    row = lab.gateway.logged(lambda row: (row["url"] or "").endswith("/hints"), "the page with hints")
    assert row["status"] == 200


@pytest.mark.parametrize("via", BOTH)
def test_trailers_of_a_client_do_not_hang_it(lab: Lab, via: Via) -> None:
    """A program that sends fields after the body gets its answer, and the site gets no trailers (H29)."""
    heard = len(lab.origin.heard)
    lines = b"Host: odd.education.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    request = head(via, lines, b"odd.education.example", b"/client-trailers").replace(b"GET", b"POST")
    got = lab.raw(request + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", via=via)
    assert got.split()[1] == b"200"
    assert HELLO.encode() in got
    (arrived,) = lab.origin.heard[heard:]
    assert b"hello" in arrived
    assert b"X-Sum: 1" not in arrived


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        b"this is no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000 + b"\r\n\r\n",
        b"",
    ],
)
def test_a_site_that_does_not_speak_http_gets_a_page_of_ours(lab: Lab, answer: bytes) -> None:
    """A broken or hostile site cannot make the gateway pass on what it could not read."""
    lab.origin.answers["/broken"] = answer
    got = lab.curl("http://odd.education.example/broken")
    assert got.status == 502, got
    row = lab.gateway.record_of(got.reference)
    assert row["reason"] == "upstream_unreachable"


def test_something_that_is_not_the_web_goes_nowhere(lab: Lab) -> None:
    """SSH, or a VPN, on a web port is not relayed (H10)."""
    for data in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 64, b"\x16\x03\x01", b"EHLO x\r\n"):
        with lab.dial(via=Via.WIRE, port=443) as wire:
            wire.sendall(data)
            got = drain(wire, first=1)
        assert got == b"" or got.startswith(b"HTTP/1.1 400 ")
