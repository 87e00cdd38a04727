from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy.net.http import http1
from mitmproxy.net.http.validate import validate_headers

from appliance.gateway.answers import Answer
from appliance.gateway.lane_heads import (
    MOST_FIELDS,
    BadAnswerError,
    own_answer,
    read_answer,
    read_request,
)

HOST = b"Host: site.example\r\n"


def request(fields: bytes = HOST, line: bytes = b"GET /a?b HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def answer(fields: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def test_a_plain_request_goes_on_under_the_judged_name() -> None:
    """What the site reads is written anew: one Host, in front, and the fields as they came."""
    head = read_request(request(HOST + b"Accept: */*\r\nCookie: a=b\r\n"))
    assert head is not None
    assert (head.method, head.path, head.host, head.length) == ("GET", "/a?b", "site.example", 0)
    sent = b"GET /a?b HTTP/1.1\r\nHost: judged.example\r\nAccept: */*\r\nCookie: a=b\r\n\r\n"
    assert head.towards("judged.example") == sent


UNPLAIN = {
    "two hosts": HOST + HOST,
    "no host": b"Accept: */*\r\n",
    "an empty host": b"Host: \r\n",
    "a host with userinfo": b"Host: a@site.example\r\n",
    "a host in brackets": b"Host: [::1]\r\n",
    "a host with a path": b"Host: site.example/x\r\n",
    "a host with a percent sign": b"Host: s%69te.example\r\n",
    "a folded field": HOST + b"A: b\r\n c\r\n",
    "a fold at the start": b" x: y\r\n" + HOST,
    "a blank before the colon": b"Host : site.example\r\n",
    "a bare line feed": HOST + b"A: b\nC: d\r\n",
    "a bare carriage return": HOST + b"A: b\rC: d\r\n",
    "NUL": HOST + b"A: \0\r\n",
    "a name with a blank": HOST + b"A B: c\r\n",
    "no colon": HOST + b"A\r\n",
    "no name": HOST + b": b\r\n",
    "two framings": HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "two framings, the other way round": HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "two lengths": HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n",
    "a list of lengths": HOST + b"Content-Length: 3, 3\r\n",
    "a length with a plus": HOST + b"Content-Length: +3\r\n",
    "a length with a minus": HOST + b"Content-Length: -3\r\n",
    "a length in hex": HOST + b"Content-Length: 0x3\r\n",
    "a length with a zero before it": HOST + b"Content-Length: 03\r\n",
    "a length with an underscore": HOST + b"Content-Length: 1_0\r\n",
    "an empty length": HOST + b"Content-Length:\r\n",
    "a length that no disk holds": HOST + b"Content-Length: 99999999999999999999\r\n",
    "an unknown coding": HOST + b"Transfer-Encoding: xchunked\r\n",
    "a coding before chunked": HOST + b"Transfer-Encoding: gzip, chunked\r\n",
    "chunked twice": HOST + b"Transfer-Encoding: chunked, chunked\r\n",
    "identity": HOST + b"Transfer-Encoding: identity\r\n",
    "a coding with a vertical tab": HOST + b"Transfer-Encoding: \x0bchunked\r\n",
    "an upgrade": HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "an unknown expectation": HOST + b"Expect: 200-ok\r\n",
    "too many fields": HOST + b"A: b\r\n" * MOST_FIELDS,
}


@pytest.mark.slow
@pytest.mark.parametrize("what", UNPLAIN)
def test_what_is_not_plain_is_left_to_the_full_lane(what: str) -> None:
    """Request smuggling: what two programs could read differently is not carried here (H31, H32)."""
    assert read_request(request(UNPLAIN[what])) is None


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.0",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.1 ",
        b"GET  / HTTP/1.1",
        b"GET /",
        b"get / HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /a\tb HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET /\xe4 HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET site.example/ HTTP/1.1",
        b"GET http://" + b"a" * 64 + b".example/ HTTP/1.1",
        b"GET http://" + b"ab." * 85 + b"example/ HTTP/1.1",
        b"GET http://site.example:0/ HTTP/1.1",
        b"GET http://site.example:080/ HTTP/1.1",
        b"GET http://site.example:65536/ HTTP/1.1",
        b"GET https://site.example/ HTTP/1.1",
        b"GET http://a@site.example/ HTTP/1.1",
        b"GET http://site.example HTTP/1.1",
        b"CONNECT site.example:443 HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"CONNECT http://site.example/ HTTP/1.1",
        b"PRI / HTTP/1.1",
        b"",
    ],
)
def test_a_request_line_that_is_not_plain_is_left_to_the_full_lane(line: bytes) -> None:
    """The address that is judged is the one that stands there, with nothing to interpret (H24, H32)."""
    assert read_request(request(line=line)) is None


def test_what_is_meant_for_this_gateway_is_not_passed_on() -> None:
    """Hop-by-hop fields, and those that `Connection` names, end here (RFC 9110 7.6.1)."""
    fields = (
        b"Connection: close, X-Mine, Host, Content-Length\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"
        b"TE: trailers\r\nProxy-Connection: keep-alive\r\n"
        b"Proxy-Authorization: Basic eA==\r\nAvailable-Dictionary: x\r\n"
        b"Content-Length: 3\r\nX-Theirs: 2\r\n"
    )
    head = read_request(request(HOST + fields))
    assert head is not None
    assert head.close
    assert head.towards("site.example") == (
        b"GET /a?b HTTP/1.1\r\nHost: site.example\r\nX-Theirs: 2\r\nContent-Length: 3\r\n\r\n"
    )


def test_an_absolute_address_is_read_with_the_site_that_it_names() -> None:
    """A client that knows the proxy names the site twice, and both are there to be compared."""
    head = read_request(request(line=b"GET http://other.example:8080/x HTTP/1.1"))
    assert head is not None
    assert (head.asked, head.host, head.path) == ("other.example:8080", "site.example", "/x")


def test_a_field_can_be_looked_up_for_the_page() -> None:
    """What kind of answer suits the browser stands in its own fields."""
    head = read_request(request(HOST + b"X-Accept: no\r\naccept:  image/png \r\n"))
    assert head is not None
    assert (head.field("Accept"), head.field("sec-fetch-dest")) == ("image/png", "")


@pytest.mark.slow
@given(st.lists(st.sampled_from(sorted(UNPLAIN.values())) | st.sampled_from([HOST, b"A: b\r\n"]), max_size=4))
def test_what_is_carried_here_the_full_lane_reads_alike(fields: list[bytes]) -> None:
    """Two readers must not differ: whatever is plain here, mitmproxy reads as the same request (H32)."""
    data = request(b"".join(fields))
    head = read_request(data)
    if head is None:
        return
    same = http1.read_request_head(data[:-4].split(b"\r\n"))
    validate_headers(same)
    size = http1.expected_http_body_size(same)
    assert (same.method, same.path, same.headers["host"], size) == (
        head.method,
        head.path,
        head.host,
        head.length,
    )


@pytest.mark.slow
@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_no_bytes_break_the_reading_of_heads(data: bytes) -> None:
    """Whatever comes is a head or it is not; nothing else can happen (H1)."""
    for each in (data, request(data), request(HOST + data)):
        read_request(each)
    for each in (data, answer(data)):
        try:
            read_answer(each)
        except BadAnswerError:
            continue


# --- answers ---


def test_an_answer_goes_on_without_what_is_meant_for_this_gateway() -> None:
    """Hop-by-hop fields end here, and so does the offer of another way past the gateway (H18)."""
    fields = (
        b"Content-Type: text/html\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAlt-Svc: h3\r\n"
        b"Content-Length: 5\r\nKeep-Alive: timeout=5\r\n"
        b"Set-Cookie: a\r\nSet-Cookie: b\r\nTrailer: X\r\nUpgrade: h2\r\n"
    )
    head = read_answer(answer(fields))
    sent = b"Content-Type: text/html\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\n"
    assert head.towards(close=False) == answer(sent)
    assert (head.close, head.length, head.chunked) == (False, 5, False)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5,5\r\n",
        b"Content-Length:\r\n 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: x, chunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"A: \0\r\n",
        b"A: b\rc\r\n",
        b"no field\r\n",
        b"A: b\n\r\r\n",
    ],
)
def test_an_answer_that_ends_in_more_ways_than_one_is_not_passed_on(fields: bytes) -> None:
    """Response splitting: the client must not read one answer where we read two (H32)."""
    with pytest.raises(BadAnswerError):
        read_answer(answer(fields))


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 099 x",
        b"HTTP/1.1 20 OK",
        b"HTTP/2 200",
        b"ICY 200 OK",
        b"<html>",
        b"",
        b"HTTP/1.1 101 Switch",
    ],
)
def test_a_status_line_that_is_none_is_not_passed_on(line: bytes) -> None:
    """A site that speaks something else gets no client of ours to talk to."""
    with pytest.raises(BadAnswerError):
        read_answer(answer(line=line))


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 200 \r\n\r\n"),
        (b"HTTP/1.0 200 OK\n\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"HTTP/1.1 200 OK\nA: b\r\nC: d\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b c\r\n\r\n"),
    ],
)
def test_what_old_servers_write_is_tidied_up(data: bytes, sent: bytes) -> None:
    """Real sites end lines as they like; what a client gets has one meaning only."""
    assert read_answer(data).towards(close=False) == sent


def test_an_old_server_s_connection_is_not_used_again() -> None:
    """HTTP/1.0 ends its connections unless it says otherwise; and it knows no chunks."""
    assert read_answer(answer(line=b"HTTP/1.0 200 OK")).close
    assert not read_answer(answer(b"Connection: Keep-Alive\r\n", b"HTTP/1.0 200 OK")).close
    with pytest.raises(BadAnswerError):
        read_answer(answer(b"Transfer-Encoding: chunked\r\n", b"HTTP/1.0 200 OK"))


@pytest.mark.parametrize(
    ("status", "method", "bare"),
    [(204, "GET", True), (304, "GET", True), (200, "HEAD", True), (200, "GET", False)],
)
def test_some_answers_have_no_body_whatever_they_say(status: int, method: str, bare: bool) -> None:
    """A length in an answer to HEAD is what the body would be; nobody waits for it (RFC 9112 6.3)."""
    head = read_answer(answer(b"Content-Length: 9\r\n", b"HTTP/1.1 %d x" % status))
    assert head.bare(method) is bare
    assert (b"Content-Length" in head.towards(close=False)) is (status != 204)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_of_ours_is_whole(method: str) -> None:
    """Our page has its length, says when it is the last, and has no body where none is wanted."""
    data = own_answer(Answer(502, (("content-type", "text/plain"),), b"sorry"), method, close=True)
    assert data.startswith(b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\n")
    assert data.endswith(
        b"content-length: 5\r\nconnection: close\r\n\r\n" + (b"" if method == "HEAD" else b"sorry")
    )


def test_credentials_for_the_proxy_are_read_and_never_passed_on() -> None:
    """RFC 9110 11.7: no site hears a pupil's password; each field is seen, also a second one."""
    head = read_request(
        b"GET / HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: Basic x\r\n"
        b"proxy-authorization:\tBasic y \r\n\r\n"
    )
    assert head is not None
    assert head.shown == ("Basic x", "Basic y")
    assert b"asic" not in head.towards("a.example")


@pytest.mark.parametrize(
    "host", ["a" * 63 + ".example", "ab." * 82 + "example", "site.example:1", "site.example:65535"]
)
def test_a_name_that_dns_can_carry_is_plain(host: str) -> None:
    """What real sites are called does not leave the lean lane (RFC 1035 2.3.4)."""
    head = read_request(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert head is not None
    assert head.host == host
