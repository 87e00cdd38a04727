from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest
from mitmproxy import http, version
from mitmproxy.addons.next_layer import NeedsMoreData
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode, _http1

from appliance.gateway import actions
from appliance.gateway.heads import INVALID, MALFORMED_MARK, GatewayHttp1Server, TrailerDroppingReader
from appliance.gateway.layers import (
    DISCARD_LIMIT,
    GatewayHttpLayer,
    GatewayNextLayer,
)
from appliance.gateway.records import GatewayClientTls, GatewayServerTls
from tests.gateway.playbook import PAGE, SITE, TROUBLE, Start, allow, block, client_context

# --- (1) refusals are answered at the headers ---


@pytest.mark.parametrize(
    ("headers", "bodies"),
    [
        (b"Content-Length: 300000", [b"x" * 100_000] * 3),
        (b"Content-Length: 300000\r\nExpect: 100-continue", []),
        (b"Transfer-Encoding: chunked", [b"5\r\nhello\r\n", b"3\r\nyou\r\n", b"0\r\n\r\n"]),
        (b"Transfer-Encoding: chunked", [b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"]),
    ],
)
def test_a_refused_upload_is_answered_once_and_goes_nowhere(
    play: Start, headers: bytes, bodies: list[bytes]
) -> None:
    """No byte of a pupil's upload reaches a blocked site, and the page is there before the body (H4, H5)."""
    game = play()
    game.receive(b"POST /upload HTTP/1.1\r\nHost: bets.example\r\n" + headers + b"\r\n\r\n")
    assert game.statuses == [403]
    assert game.answer.endswith(PAGE.body)
    for body in bodies:
        game.receive(body)
    assert (game.statuses, game.opened, game.closed) == ([403], [], [])
    assert game.called.count("response") == 1
    assert "request" not in game.called


def test_after_a_refused_upload_the_next_request_is_judged(play: Start) -> None:
    """A browser that keeps its connection goes on with an allowed site, whose request is not lost."""
    game = play()
    game.receive(b"POST / HTTP/1.1\r\nHost: bets.example\r\nContent-Length: 5\r\n\r\nhel")
    game.receive(b"loGET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert game.statuses == [403]
    assert len(game.opened) == 1
    assert game.upstream.startswith(b"GET / HTTP/1.1\r\n")


def test_a_refused_upload_without_end_is_cut_off(play: Start) -> None:
    """A client that keeps sending to a blocked site does not keep the worker busy for ever (H6)."""
    game = play()
    game.receive(b"POST / HTTP/1.1\r\nHost: bets.example\r\nContent-Length: 99999999\r\n\r\n")
    for _ in range(DISCARD_LIMIT // 100_000 + 1):
        game.receive(b"x" * 100_000)
    assert game.closed == [game.client]
    assert game.statuses == [403]
    game.receive(b"x" * 100_000)
    assert game.opened == []


def test_a_refused_request_without_a_body_is_answered(play: Start) -> None:
    """The ordinary block: one request, one page, no site."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: bets.example\r\n\r\n")
    assert (game.statuses, game.opened) == ([403], [])


def test_an_allowed_upload_streams_to_its_site(play: Start) -> None:
    """Homework is handed in while it is being read, and nothing of it is kept (H8)."""
    game = play()
    game.receive(b"POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 10\r\n\r\nhello")
    assert game.upstream.endswith(b"\r\n\r\nhello")
    game.receive(b"world")
    assert game.upstream.endswith(b"\r\n\r\nhelloworld")
    game.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", game.opened[0])
    assert game.answer.endswith(b"\r\n\r\nok")
    assert game.flows[0].request.raw_content in (None, b"")


def test_what_breaks_the_rules_of_http2_is_told(play: Start) -> None:
    """A forged Host over HTTP/2 ends the connection, and is on record as an attempt (F8)."""
    config = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    client = h2.connection.H2Connection(config)
    game = play(alpn=b"h2")
    client.initiate_connection()
    head = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "bets.example")]
    client.send_headers(1, [*head, ("host", "school.example")], end_stream=True)
    game.receive(client.data_to_send())
    assert game.closed == [game.client]
    assert "requestheaders" not in game.called
    (told,) = [log for log in game.logs if log.startswith(MALFORMED_MARK)]
    assert "example" not in told


@pytest.mark.parametrize("end", [False, True])
def test_http2_refuses_an_upload_the_same_way(play: Start, *, end: bool) -> None:
    """Over HTTP/2 as well, a refused upload is answered at once and goes nowhere."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    game = play(alpn=b"h2")
    client.initiate_connection()
    head = [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "bets.example")]
    client.send_headers(1, [*head, ("host", "bets.example")], end_stream=end)
    game.receive(client.data_to_send())
    seen = client.receive_data(game.answer)
    answers = [event for event in seen if isinstance(event, h2.events.ResponseReceived)]
    bodies = [event.data for event in seen if isinstance(event, h2.events.DataReceived)]
    assert dict(answers[0].headers or [])[b":status"] == b"403"
    assert b"".join(bodies) == PAGE.body
    if not end:
        client.send_data(1, b"x" * 10_000, end_stream=True)
        game.receive(client.data_to_send())
    assert game.opened == []
    client.send_headers(
        3, [*head[:3], (":authority", "site.example"), ("host", "site.example")], end_stream=True
    )
    game.receive(client.data_to_send())
    assert len(game.opened) == 1


# --- (2) errors are answered with our own page, once ---


def test_a_site_that_cannot_be_reached_gets_our_page(play: Start) -> None:
    """A pupil reads in our words that the site is down, not mitmproxy's page (H16)."""
    game = play()
    game.unreachable = "Connection refused"
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert game.statuses == [502]
    assert game.answer.endswith(TROUBLE.body)
    assert b"mitmproxy" not in game.answer
    game.receive(b"GET / HTTP/1.1\r\nHost: bets.example\r\n\r\n")
    assert game.statuses == [502, 403]


def test_an_upload_to_a_site_that_cannot_be_reached_is_dropped(play: Start) -> None:
    """The page arrives, and the upload that is still coming does no harm."""
    game = play()
    game.unreachable = "Connection refused"
    game.receive(b"POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 10\r\n\r\nhello")
    game.receive(b"world")
    assert game.statuses == [502]
    game.receive(b"GET / HTTP/1.1\r\nHost: bets.example\r\n\r\n")
    assert game.statuses == [502, 403]


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"junk\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 1\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\rc\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_a_site_that_answers_nonsense_gets_our_page(play: Start, answer: bytes) -> None:
    """An answer that two parties could read differently is replaced, and never passed on (H31, H32)."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    site = game.opened[0]
    if answer:
        game.receive(answer, site)
    if site not in game.closed:
        game.leave(site)
    assert game.statuses == [502]
    assert game.answer.endswith(TROUBLE.body)


def test_an_answer_s_folded_field_is_unfolded(play: Start) -> None:
    """What old servers fold is passed on in one line, as browsers and HTTP/2 want it (RFC 9112 5.2)."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    answer = b"HTTP/1.1 200 OK\r\nX: a\r\n\t b\r\n c\r\nContent-Length: 3\r\n\r\nabc"
    game.receive(answer, game.opened[0])
    assert b"\r\nX: a b c\r\n" in game.answer
    assert game.statuses == [200]


def test_a_site_that_fails_in_mid_answer_ends_the_connection(play: Start) -> None:
    """No page of ours is glued into the half of somebody else's answer."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    game.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", game.opened[0])
    game.leave(game.opened[0])
    assert game.statuses == [200]
    assert game.answer.endswith(b"half")
    assert game.client in game.closed


def test_without_a_page_an_error_still_ends_in_an_answer_of_ours(play: Start) -> None:
    """Where even the error hook has nothing to say, a plain sentence is sent, and nothing of mitmproxy's."""
    game = play(error=lambda _flow: None)
    game.unreachable = "Connection refused"
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert game.statuses == [502]
    assert b"could not be carried out" in game.answer
    assert b"mitmproxy" not in game.answer
    assert game.client in game.closed


def test_a_killed_answer_never_reaches_the_client(play: Start) -> None:
    """Closing at an answer's headers ends the connection before a byte of the site passes."""
    game = play(responseheaders=lambda flow: flow.kill())
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    game.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", game.opened[0])
    assert b"secret" not in game.answer
    assert 200 not in game.statuses
    assert game.client in game.closed


# --- what contradicts itself ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : site.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: site.example\r\nBad(Name: x\r\n\r\n",
        b"GET ftp://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: site.example\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: site.example\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
@pytest.mark.parametrize("mode", [HTTPMode.regular, HTTPMode.transparent])
def test_what_contradicts_itself_is_refused_and_not_passed_on(
    play: Start, head: bytes, mode: HTTPMode
) -> None:
    """Request smuggling ends here: an answer, no site, and the reason for the record (H31, H32, H37)."""
    game = play(
        mode, requestheaders=lambda flow: block(flow) if INVALID in flow.metadata else judge_host(flow)
    )
    game.receive(head)
    assert game.opened == []
    assert game.statuses[0] in (400, 403)
    assert game.statuses[0] == 403 or any(log.startswith(MALFORMED_MARK) for log in game.logs)
    assert b"mitmproxy" not in game.answer


def judge_host(flow: http.HTTPFlow) -> None:
    """Refuse, as the addon does, what names no site that could be judged."""
    known = flow.request.headers.get("host", "") == "site.example" and flow.request.data.method != b"PRI"
    allow(flow) if known else block(flow)


def test_an_absolute_address_within_a_tunnel_reaches_no_site(play: Start) -> None:
    """A shared front server never sees an address that was not judged in the request line (H25)."""

    def forward(flow: http.HTTPFlow) -> None:
        from tests.gateway.test_actions import carried  # noqa: PLC0415 - the real forwarding, on a real judgement

        actions.forward(flow, carried("http://site.example/a"))

    game = play(requestheaders=forward)
    game.receive(b"GET http://other.example/a HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert game.upstream.startswith(b"GET /a HTTP/1.1\r\nHost: site.example\r\n")
    assert b"other.example" not in game.upstream


def test_a_connect_within_a_tunnel_opens_nothing(play: Start) -> None:
    """No second tunnel hides in the first one."""
    head = b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example\r\n\r\n"
    game = play(http_connect=lambda flow: block(flow) if INVALID in flow.metadata else None)
    game.receive(head)
    assert (game.statuses, game.opened) == ([403], [])
    unjudged = play(http_connect=lambda _flow: None)
    unjudged.receive(head)
    assert (unjudged.statuses, unjudged.opened) == ([400], [])


def test_a_connect_on_a_connection_that_leads_to_a_site_is_no_crash(play: Start) -> None:
    """Whoever asks for a tunnel where a site is reached already is refused, and feigns no fault of ours."""
    game = play(http_connect=lambda flow: block(flow) if INVALID in flow.metadata else None)
    server = game.layer.context.server
    server.state = ConnectionState.OPEN
    game.receive(b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert (game.statuses, game.opened, server.address) == ([403], [], SITE)


# --- which layer ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "chosen"),
    [
        (b"GET / HTTP/1.1\r\n", GatewayHttpLayer),
        (b"\x16\x03\x01\x00\xa5\x01", GatewayServerTls),
        (b"\x00", GatewayHttpLayer),
        (b"SSH-2.0-x\r\n", GatewayHttpLayer),
        (b"\x13BitTorrent protocol", GatewayHttpLayer),
    ],
)
def test_whatever_comes_is_read(data: bytes, chosen: type) -> None:
    """Nothing is relayed unread: what is not TLS is read as HTTP, and refused as such (H10, H11)."""
    with client_context(address=SITE) as context:
        modes.TransparentProxy(context)
        layer = GatewayNextLayer()._next_layer(context, data, b"")
        assert type(layer) is chosen
        if isinstance(layer, GatewayServerTls):
            assert isinstance(layer.child_layer, GatewayClientTls)


def test_an_explicit_proxy_speaks_http_alone() -> None:
    """A browser that speaks TLS to the proxy's own port is refused like anything else that is no request."""
    for first in (b"CONNECT a:443 HTTP/1.1\r\n", b"\x16\x03\x01\x00"):
        with client_context() as context:
            modes.HttpProxy(context)
            layer = GatewayNextLayer()._next_layer(context, first, b"")
            assert isinstance(layer, GatewayHttpLayer)
            assert layer.mode is HTTPMode.regular


def test_too_little_to_tell_is_waited_for() -> None:
    """A ClientHello split into single bytes is not taken for something else."""
    with client_context(address=SITE) as context:
        modes.TransparentProxy(context)
        assert GatewayNextLayer()._next_layer(context, b"", b"220 mail ready") is None
        for start in (b"\x16", b"\x16\x03"):
            with pytest.raises(NeedsMoreData):
                GatewayNextLayer()._next_layer(context, start, b"")


# --- what is relied on ---


def test_a_message_is_taken_as_its_parser_made_it() -> None:
    """What mitmproxy calls to check its own authors is still what we leave out."""
    made = http.Response(b"HTTP/1.1", "no number", b"", http.Headers(), None, None, 0.0, None)  # type: ignore[arg-type] # what the check would refuse
    assert made.data.__post_init__.__module__ == GatewayHttpLayer.__module__


def test_mitmproxy_is_the_one_that_was_looked_at() -> None:
    """These layers lean on the inside of one release; another one must be looked at first (H37)."""
    assert version.VERSION == "12.2.3"
    assert vars(_http1)["ChunkedReader"] is TrailerDroppingReader
    assert issubclass(GatewayHttp1Server, _http1.Http1Server)
