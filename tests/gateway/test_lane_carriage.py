from __future__ import annotations

import time
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.gateway.lane_acts import Alarm, Close, HandOver, Refuse
from appliance.gateway.lane_carriage import DISCARD_LIMIT, Carriage
from appliance.gateway.lane_judge import Failure
from appliance.gateway.lane_pool import Target
from tests.doubles.addon import Bench

GET = b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n"
POST = b"POST http://site.example/ HTTP/1.1\r\nHost: site.example\r\nContent-Length: %d\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Site:
    """A connection to a site that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data


class Game:
    """A carriage with both of its sides in view; `stands` says whether the pool has a connection."""

    def __init__(self, *, stands: bool = True) -> None:
        self.bench = Bench(lean=True)
        self.client, self.backlog, self.stands = b"", 0, stands
        self.site, self.full = Site(), False
        self.acts: list[Any] = []
        self.done: list[str] = []
        lane = self.bench.lane(None)
        self.carriage = Carriage(self.bench.client, lane, self, self)

    def send(self, data: bytes) -> None:
        self.client += data

    def act(self, act: Any) -> None:
        self.acts.append(act)

    def take(self, target: Target, *, again: bool) -> Any:
        self.done.append(f"take {target.host} {again}")
        return self.site if self.stands else None

    def open(self, target: Target) -> None:
        self.done.append(f"open {target.host}")

    def keep(self, *, shared: bool) -> None:
        self.done.append("keep" if shared else "keep for its client")

    def drop(self) -> None:
        self.done.append("drop")

    def waiting(self, size: int) -> None:
        self.backlog = size

    def crowded(self) -> bool:
        return self.full


def test_a_client_that_takes_nothing_gets_no_further_answer() -> None:
    """A thousand small requests, and an answer to none of them read, must not fill the memory."""
    game = Game()
    game.full = True
    game.carriage.feed(GET)
    assert (game.site.sent, game.backlog) == (b"", len(GET))
    game.full = False
    game.carriage.feed(b"")
    assert game.site.sent.count(b"GET / ") == 1


def test_requests_that_come_at_once_are_answered_in_order() -> None:
    """Pipelining: the second goes out when the first is answered, and not before (RFC 9112 9.3.2)."""
    game = Game()
    game.carriage.feed(GET + GET)
    assert game.site.sent.count(b"GET / ") == 1
    assert game.backlog == len(GET)
    game.carriage.received(HELLO)
    assert game.site.sent.count(b"GET / ") == 2
    assert game.backlog == 0
    game.carriage.received(HELLO)
    assert game.client == HELLO * 2
    assert game.done == ["take site.example True", "keep"] * 2


def test_a_body_waits_for_its_connection_and_is_counted() -> None:
    """Bytes of an upload that cannot go on yet hold up the client, so that they stay few."""
    game = Game(stands=False)
    game.carriage.feed(POST % 6 + b"abc")
    assert game.backlog == 3
    game.carriage.opened(cast("Any", game.site))
    assert game.site.sent.endswith(b"\r\n\r\nabc")
    game.carriage.feed(b"def")
    game.carriage.received(HELLO)
    assert game.site.sent.endswith(b"abcdef")
    (row,) = game.bench.recorder.kept
    assert (row.bytes_sent, row.bytes_received) == (6, 5)


def test_an_early_answer_does_not_end_an_upload_that_the_site_still_reads() -> None:
    """A site may answer first and read later; its connection is fit again once it has all."""
    game = Game()
    game.carriage.feed(POST % 6 + b"abc")
    game.carriage.received(HELLO)
    assert game.client == HELLO
    game.carriage.feed(b"def" + GET)
    assert b"abcdef" in game.site.sent
    assert game.done == ["take site.example False", "keep for its client", "take site.example True"]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (GET, "keep"),
        (GET.replace(b"GET", b"HEAD"), "keep for its client"),
        (POST % 1 + b"x", "keep for its client"),
        ((POST % 1).replace(b"POST", b"GET") + b"x", "keep for its client"),
        (POST % 0, "keep"),
    ],
)
def test_what_a_body_can_have_left_behind_is_nobody_else_s(asked: bytes, kept: str) -> None:
    """A site that reads no body there takes it for a request, whose answer another pupil would get."""
    game = Game()
    game.carriage.feed(asked)
    game.carriage.received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert game.done[1:] == [kept]


def test_an_early_answer_and_an_end_bound_the_upload() -> None:
    """A site that answers and leaves: the rest is dropped, up to a limit, and goes nowhere."""
    game = Game()
    game.carriage.feed(POST % (DISCARD_LIMIT * 2) + b"x")
    game.carriage.received(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert game.done[-1] == "drop"
    sent = game.site.sent
    game.carriage.feed(b"x" * DISCARD_LIMIT)
    assert game.acts == []
    game.carriage.feed(b"x")
    assert game.acts == [Close(unread=True)]
    assert game.site.sent == sent


def test_a_site_that_fails_is_answered_for_once() -> None:
    """After our page the connection serves the next request."""
    game = Game(stands=False)
    game.carriage.feed(GET + GET)
    game.carriage.unreachable("no route")
    (failure,) = game.acts
    assert isinstance(failure, Failure)
    game.carriage.received(HELLO)  # too late
    game.carriage.apologise(failure)
    assert game.client.startswith(b"HTTP/1.1 503 ")
    assert game.done.count("open site.example") == 2


@pytest.mark.slow
@pytest.mark.parametrize("site", [False, True])
def test_a_head_in_many_pieces_costs_what_it_is_long(site: bool) -> None:
    """Whoever sends a long head byte by byte keeps no worker busy: 60 KB took twenty seconds of work."""

    def cost(lines: int) -> float:
        game = Game()
        if site:
            game.carriage.feed(GET)
        begun = time.process_time()
        for byte in (b"HTTP/1.1 200 OK\r\n" if site else GET[:-2]) + b"a:\r\n" * lines:
            (game.carriage.received if site else game.carriage.feed)(bytes([byte]))
        assert (game.done[1:], game.client) == ([], b"")
        return time.process_time() - begun

    assert cost(6000) < cost(1000) * 15, "six times as much cost more than thirty times as much"


def test_a_head_in_pieces_sets_one_alarm() -> None:
    """However many heads come in pieces, there is one timer for them (bounded memory)."""
    game = Game()
    for _ in range(3):
        game.carriage.feed(GET[:10])
        game.carriage.feed(GET[10:])
        game.carriage.received(HELLO)
    assert len(game.acts) == 1
    game.carriage.alarm()
    assert len(game.acts) == 1
    assert isinstance(game.acts[0], Alarm)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET /" + b"a" * 70_000,
        GET.replace(b"1.1", b"1.0"),
        b"\0",
    ],
)
def test_whatever_is_not_plain_goes_on_as_it_came(data: bytes) -> None:
    """The full lane sees every byte that the lean one did not carry."""
    game = Game()
    game.carriage.feed(GET)
    game.carriage.received(HELLO)
    game.carriage.feed(data)
    assert game.acts == [HandOver(data)]
    game.carriage.feed(b"more")
    assert game.client == HELLO


def test_a_client_that_leaves_takes_its_request_along() -> None:
    """The site's connection ends, the access is on record, and half a head is counted."""
    game = Game()
    game.carriage.feed(GET)
    game.carriage.left()
    assert (game.done[-1], game.acts) == ("drop", [Close()])
    assert [row.status for row in game.bench.recorder.kept] == [0]
    half = Game()
    half.carriage.feed(GET[:9])
    half.carriage.left()
    assert half.acts[1:] == [Refuse(0, "The client left before its request was whole."), Close()]


@pytest.mark.slow
@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([GET, POST % 3, b"abc", GET[:20], b"\r\n"]), max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_no_client_breaks_the_carriage(parts: list[bytes]) -> None:
    """Whatever comes, in whatever pieces: it is carried, handed over or ended, and nothing goes twice."""
    game = Game()
    for part in parts:
        game.carriage.feed(part)
        game.carriage.received(HELLO)
    assert len([act for act in game.acts if not isinstance(act, Alarm)]) <= 1
    assert game.site.sent.count(b"HTTP/1.1\r\nHost: site.example\r\n") == len(
        [done for done in game.done if done.startswith("take")]
    )


@pytest.mark.slow
@given(st.binary(max_size=80), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_no_site_breaks_the_carriage(data: bytes, step: int) -> None:
    """Whatever a site answers is carried as one answer, or not at all (response splitting)."""
    for answer in (data, b"HTTP/1.1 200 OK\r\n" + data, HELLO + data, HELLO.replace(b"5", b"500") + data):
        game = Game()
        game.carriage.feed(GET)
        for place in range(0, len(answer), step):
            game.carriage.received(answer[place : place + step])
        game.carriage.lost("closed")
        failures = [act for act in game.acts if isinstance(act, Failure)]
        again = "open site.example" in game.done  # nothing had come at all
        assert len(game.bench.recorder.kept) + len(failures) + again == 1
