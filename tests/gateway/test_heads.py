from __future__ import annotations

from types import SimpleNamespace

import pytest
from mitmproxy import http as mithttp
from mitmproxy import options
from mitmproxy.proxy import commands, context, events
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _events, _http1
from mitmproxy.test import tflow

from appliance.gateway import heads
from appliance.gateway.heads import (
    ANSWER_HEAD_LIMIT,
    HEAD_LIMIT,
    HEAD_SECONDS,
    MALFORMED_MARK,
    MOST_INTERIM,
    plain_answer,
)
from tests.gateway.playbook import Start


def test_a_body_from_http2_is_framed_for_http1() -> None:
    """A body without a length cannot pass for a second request, which nobody judged (request smuggling)."""
    request = mithttp.Request.make("POST", "https://site.example/a", b"", [(b"host", b"site.example")])
    request.headers.pop("content-length", None)
    request.http_version = "HTTP/2.0"
    link = context.Context(tflow.tclient_conn(), options.Options())
    client = heads.GatewayHttp1Client(link)
    sent = b""
    for event in (
        _events.RequestHeaders(1, request, end_stream=False),
        _events.RequestData(1, b"POST /b HTTP/1.1\r\n\r\n"),
        _events.RequestEndOfMessage(1),
    ):
        found = [item for item in client.send(event) if isinstance(item, commands.SendData)]
        sent += b"".join(item.data for item in found)
    assert b"transfer-encoding: chunked" in sent.lower()
    assert sent.endswith(b"\r\n\r\n14\r\nPOST /b HTTP/1.1\r\n\r\n\r\n0\r\n\r\n")


def test_a_head_of_64_kilobytes_is_too_long(play: Start) -> None:
    """A client cannot fill the memory with a head that never ends; it reads why."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\nX: ")
    for _ in range(3):
        game.receive(b"a" * (HEAD_LIMIT // 2))
    assert game.statuses == [431]
    assert game.closed == [game.client]
    assert "requestheaders" not in game.called
    assert any(log.startswith(MALFORMED_MARK) for log in game.logs)


def test_a_long_body_behind_a_short_head_is_no_long_head(play: Start) -> None:
    """A large upload that arrives together with its head is not refused for its size."""
    game = play()
    head = b"POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 200000\r\n\r\n"
    game.receive(head + b"x" * 200_000)
    assert len(game.upstream) > 200_000


def test_a_head_within_the_limit_passes(play: Start) -> None:
    """A page with many cookies works."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\nCookie: " + b"a" * 60_000 + b"\r\n\r\n")
    assert len(game.opened) == 1


@pytest.mark.parametrize("by", ["silence", "drops"])
def test_a_head_that_never_ends_is_answered(play: Start, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A client that never finishes its request is told so, whether it falls silent or drips on."""
    now = [1000.0]
    monkeypatch.setattr(heads, "time", SimpleNamespace(monotonic=lambda: now[0]))
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: sit")
    assert [wakeup.delay for wakeup in game.wakeups] == [HEAD_SECONDS]
    now[0] += HEAD_SECONDS / 2
    game.receive(b"e.exam")
    assert game.statuses == []
    now[0] += HEAD_SECONDS / 2
    game.wake() if by == "silence" else game.receive(b"ple")
    assert game.statuses == [408]
    assert game.closed == [game.client]
    assert game.opened == []


@pytest.mark.slow
def test_an_idle_connection_between_requests_is_left_alone(
    play: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser keeps its connection for minutes, also behind the blank line that some put after a form."""
    now = [1000.0]
    monkeypatch.setattr(heads, "time", SimpleNamespace(monotonic=lambda: now[0]))
    game = play()
    game.receive(b"POST / HTTP/1.1\r\nHost: bets.example\r\nContent-Length: 2\r\n\r\nok")
    game.receive(b"\r\n")
    now[0] += HEAD_SECONDS * 3
    for wakeup in game.wakeups:
        game.feed(events.Wakeup(wakeup))
    game.receive(b"GET / HTTP/1.1\r\nHost: bets.example\r\n\r\n")
    assert game.statuses == [403, 403]


@pytest.mark.slow
def test_a_client_that_leaves_in_its_head_is_noticed(play: Start) -> None:
    """What was begun and never judged is counted; a connection opened in advance is nothing."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site")
    game.leave()
    assert sum(log.startswith(MALFORMED_MARK) for log in game.logs) == 1
    silent = play()
    silent.leave()
    assert not any(log.startswith(MALFORMED_MARK) for log in silent.logs)


def test_trailers_are_dropped_on_both_sides(play: Start) -> None:
    """Trailers, which crash mitmproxy's own layer and hang both sides, pass without harm (H29)."""
    game = play()
    chunks = b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\nX-More: 2\r\n\r\n"
    game.receive(b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert game.upstream.endswith(b"5\r\nhello\r\n0\r\n\r\n")
    game.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, game.opened[0])
    assert game.answer.endswith(b"5\r\nhello\r\n0\r\n\r\n")
    assert b"X-Trailer" not in game.answer + game.upstream


@pytest.mark.parametrize("status", [400, 408, 431, 502])
def test_a_plain_answer_is_whole(status: int) -> None:
    """Whoever sent no readable request still gets a readable answer, and a closed connection."""
    head, _, body = plain_answer(status, "No.").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head


def test_a_site_whose_head_never_ends_gets_our_page(play: Start) -> None:
    """A hostile site cannot fill the worker's memory with a head; the pupil reads who is at fault."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    game.receive(b"HTTP/1.1 200 OK\r\nX: ", game.opened[0])
    for _ in range(3):
        game.receive(b"a" * (ANSWER_HEAD_LIMIT // 2), game.opened[0])
    assert game.statuses == [502]
    assert game.opened[0] in game.closed
    game.receive(b"GET / HTTP/1.1\r\nHost: bets.example\r\n\r\n")
    assert game.statuses == [502, 403]


@pytest.mark.slow
def test_a_site_with_long_headers_or_a_long_body_is_read(play: Start) -> None:
    """Sites that set many cookies work as they do in a browser, and the size of a page does not matter."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"
    game.receive(head + b"b" * 400_000, game.opened[0])
    assert game.statuses == [200]
    assert game.answer.endswith(b"b" * 400_000)


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [1, 7, 1000])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_an_interim_answer_is_not_taken_for_the_answer(play: Start, pieces: int, end: bytes) -> None:
    """A site that sends 103 Early Hints or 100 Continue first is read to its real answer, however split."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    lines = [b"HTTP/1.1 103 Early Hints", b"Link: </a.css>; rel=preload", b"", b"HTTP/1.1 100", b""]
    lines += [b"HTTP/1.1 102 Processing", b"", b"HTTP/1.1 200 OK", b"Content-Length: 2", b"", b"ok"]
    sent = end.join(lines)
    size = -(-len(sent) // pieces)
    for at in range(0, len(sent), size):
        game.receive(sent[at : at + size], game.opened[0])
    assert game.statuses == [200]
    assert game.answer.endswith(b"ok")
    assert game.called.count("responseheaders") == 1


def test_the_next_answer_may_have_interim_ones_again(play: Start) -> None:
    """The bound on interim answers is of one answer, not of a connection that stays open."""
    game = play()
    for _ in range(3):
        game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
        game.receive(b"HTTP/1.1 103 Hi\r\n\r\n" * (MOST_INTERIM - 1), game.opened[0])
        game.receive(b"HTTP/1.1 204 None\r\n\r\n", game.opened[0])
    assert game.statuses == [204] * 3


def test_a_site_that_never_comes_to_its_answer_is_given_up(play: Start) -> None:
    """Interim answers without end do not keep a worker busy."""
    game = play()
    game.receive(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    game.receive(b"HTTP/1.1 103 Hi\r\n\r\n" * 500, game.opened[0])
    assert game.statuses == [502]
    assert game.opened[0] in game.closed


def test_our_classes_stand_where_mitmproxy_looks_for_its_own() -> None:
    """A newer mitmproxy that looks elsewhere would bring its own limits back, which are none."""
    assert vars(http)["Http1Client"] is heads.GatewayHttp1Client
    assert vars(_http1)["ChunkedReader"] is heads.TrailerDroppingReader
