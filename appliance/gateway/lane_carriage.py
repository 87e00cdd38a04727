"""The lean lane: HTTP/1.1 carried without building mitmproxy's flows.

What lives only here: the order of things on one client connection. One request at a time is read whole
(its head), judged, and carried over a connection of the pool; its answer goes back, and then comes the
next. Whatever is not plain (`lane_heads.py`), not allowed, watched, an upgrade or for the gateway itself
goes to the full lane as it came, and the connection stays there: the full lane alone refuses. Two readers
cannot disagree over a request, since the one never sees what the other carries. It knows no socket and no
layer: `Out` is the client's side, `Sites` the other.
"""

from __future__ import annotations

import re
import time
from typing import Protocol

from mitmproxy.connection import Client

from appliance.gateway.actions import Carried
from appliance.gateway.heads import ANSWER_HEAD_LIMIT, HEAD_LIMIT, HEAD_SECONDS, INTERIM_HEAD, MOST_INTERIM
from appliance.gateway.lane_acts import Act, Alarm, Close, HandOver, Refuse
from appliance.gateway.lane_bodies import LAST_CHUNK, BadBodyError, Body, UntilClose, chunk
from appliance.gateway.lane_exchange import Exchange, reader_of
from appliance.gateway.lane_heads import (
    AnswerHead,
    BadAnswerError,
    own_answer,
    read_answer,
    read_request,
)
from appliance.gateway.lane_judge import Failure, Lane
from appliance.gateway.lane_pool import Target, Upstream

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
DISCARD_LIMIT = 1_048_576
"""Bytes of a request that are read and dropped once its answer has gone out."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be sent a second time (RFC 9110 9.2.2), of those that have no body as a rule."""

_END, _ENDS = re.compile(rb"\n\r?\n"), 3
# What was looked through for it is not again, but for so many bytes: one byte at a time would cost seconds.


class Out(Protocol):
    """The client's side."""

    def send(self, data: bytes) -> None:
        """Send bytes to the client."""

    def act(self, act: Act) -> None:
        """Do something else. After a `Failure`, `Carriage.apologise` is called with its answer."""


class Sites(Protocol):
    """The side of the sites."""

    def take(self, target: Target, *, again: bool) -> Upstream | None:
        """Return a connection that stands; None if there is none."""

    def open(self, target: Target) -> None:
        """Begin a new connection; `opened` or `unreachable` tells what came of it."""

    def keep(self, *, shared: bool) -> None:
        """The exchange is over, and the connection fit for another: of any client, or of this one alone."""

    def drop(self) -> None:
        """End the connection, or the attempt at one."""

    def waiting(self, size: int) -> None:
        """So many bytes of the client wait for their turn."""

    def crowded(self) -> bool:
        """Tell whether the client has to take what waits for it first; then it is fed with nothing."""


class Carriage:
    """One client connection in the lean lane."""

    def __init__(self, client: Client, lane: Lane, out: Out, sites: Sites) -> None:
        self.gone = False
        """True once another layer has the connection, or it has ended: then nothing is done any more."""
        self._client = client
        self._lane = lane
        self.out = out
        self._sites = sites
        self._buffer = b""
        self._looked = 0
        self._waits = False
        self._now: Exchange | None = None
        self._head_began: float | None = None
        self._timing = False

    @property
    def idle(self) -> bool:
        """True while no request is under way, and none has begun."""
        return self._now is None and not self._buffer

    @property
    def carried(self) -> Carried | None:
        """The request that is under way, until its last byte is there; None between two of them."""
        return self._now.carried if self._now is not None else None

    @property
    def endless(self) -> bool:
        """Whether that request, or its answer, does not say how long it is."""
        return self._now is not None and self._now.endless

    # --- what the client sends ---

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        self._buffer = self._buffer + data if self._buffer else data
        self._go_on()

    def left(self) -> None:
        """Learn that the client has ended its side: it is not interested in more, as mitmproxy has it."""
        now = self._now
        if now is not None and not now.over:
            self._break_off(now)
            return
        if now is None and self._buffer.strip():
            self.out.act(Refuse(0, "The client left before its request was whole."))
        self._buffer = b""
        self._end()

    def alarm(self) -> None:
        """Learn that the time of an `Alarm` has come."""
        self._timing = False
        if self._head_began is None or self.gone:
            return
        left = self._head_began + HEAD_SECONDS - time.monotonic()
        if left > 0:
            self._alarm(left)
            return
        self.gone = True
        self.out.act(Refuse(408, "The request took too long to arrive."))

    def _go_on(self) -> None:
        while self._buffer and not self.gone:
            now = self._now
            if now is None:
                if self._buffer[0] in b"\r\n":  # blank lines before a request (RFC 9112 2.2)
                    self._buffer = self._buffer.lstrip(b"\r\n")
                elif self._sites.crowded() or not self._begin():
                    break
            elif now.body is not None:
                self._upload(now, now.body)
            else:
                break
        self._weigh()

    def _weigh(self) -> None:
        now = self._now
        held = now.held if now is not None and now.upstream is None and not now.over else 0
        size = 0 if self.gone else len(self._buffer) + held
        if size or self._waits:
            self._waits = bool(size)
            self._sites.waiting(size)

    def _begin(self) -> bool:
        # True when something was done, and there may be more to do.
        data = self._buffer
        looked, self._looked = self._looked, 0
        end = data.find(b"\r\n\r\n", looked) + 4
        if end < 4:  # noqa: PLR2004 - not found
            self._looked = max(len(data) - _ENDS, 0)
            if len(data) > HEAD_LIMIT or _END.search(data, looked) or not data[:1].isupper():
                self._hand_over()
            elif self._head_began is None:
                self._head_began = time.monotonic()
                self._alarm(HEAD_SECONDS)
            return False
        self._head_began = None
        head = read_request(data[:end]) if end <= HEAD_LIMIT else None
        carried = self._lane.admit(self._client, head) if head is not None else None
        if head is None or carried is None:
            self._hand_over()
            return False
        self._buffer = data[end:]
        self._carry(Exchange(head, carried))
        return True

    def _carry(self, now: Exchange) -> None:
        self._now = now
        if self._lane.leaving:
            now.head.close = True  # the next one is for the worker that took our place
        if now.head.expects and now.body is not None:
            self.out.send(CONTINUE)
        again = now.body is None and now.head.method in _SAFE
        now.upstream = self._sites.take(now.target, again=again)
        start = now.head.towards(now.name)
        if now.upstream is None:
            now.waiting.append(start)
            self._sites.open(now.target)
            return
        now.pooled = again
        if again:
            now.waiting.append(start)  # in case the site has closed meanwhile
        now.upstream.write(start)

    def _upload(self, now: Exchange, body: Body) -> None:
        try:
            content, self._buffer = body.feed(self._buffer)
        except BadBodyError:
            self._break_off(now)
            return
        if body.done:
            now.body = None
        if now.over and now.upstream is None:
            self._discard(now, len(content))
            return
        now.carried.sent += len(content)
        data = chunk(content) if now.head.length is None else content
        if now.head.length is None and body.done:
            data += LAST_CHUNK
        if now.upstream is None:
            now.waiting.append(data)
            now.held += len(data)
            return
        now.upstream.write(data)
        if now.over and now.body is None:  # the site has answered early, and now has all
            self._release(keep=now.fit)
            self._next(now)

    def _discard(self, now: Exchange, size: int) -> None:
        now.discarded += size
        if now.body is None:
            self._next(now)
        elif now.discarded > DISCARD_LIMIT:
            self._end()

    def _alarm(self, seconds: float) -> None:
        if not self._timing:  # one at a time, however many heads come in pieces
            self._timing = True
            self.out.act(Alarm(seconds))

    def _hand_over(self) -> None:
        data, self._buffer = self._buffer, b""
        self.gone = True
        self.out.act(HandOver(data))

    # --- what the site sends ---

    def opened(self, upstream: Upstream) -> None:
        """Learn that a new connection stands."""
        now = self._now
        if now is None or now.over:
            return
        now.upstream = upstream
        upstream.write(b"".join(now.waiting))
        now.waiting.clear()
        self._weigh()

    def unreachable(self, problem: str) -> None:
        """Learn why no connection could be made."""
        if self._now is not None and not self._now.over:
            self._fail(self._now, problem)

    def received(self, data: bytes) -> None:
        """Take what the site sent."""
        now = self._now
        if now is None or now.over:
            if now is not None:
                now.fit = False  # more than its answer
            return
        if now.answer is None:
            self._answer(now, data)
        else:
            self._download(now, now.answer, data, b"")

    def lost(self, problem: str) -> None:
        """Learn that the site's connection is no more."""
        now = self._now
        if now is not None:
            now.upstream = None
        if now is None or now.over:
            return
        if now.answer is None:
            if now.pooled and not now.early:
                now.pooled = False  # once
                self._sites.open(now.target)
            else:
                self._fail(now, problem)
        elif isinstance(now.reader, UntilClose):
            self._complete(now, now.answer, sure=False)
        else:
            self._break_off(now)

    def _answer(self, now: Exchange, data: bytes) -> None:
        now.early = True
        looked = max(len(now.unread) - _ENDS, 0)
        data = now.unread + data if now.unread else data
        # Interim answers are passed over, as in the full lane: "100 Continue" was said already.
        while (end := _END.search(data, looked, ANSWER_HEAD_LIMIT)) and INTERIM_HEAD.match(data):
            looked = 0
            now.interim += 1
            if now.interim > MOST_INTERIM:
                self._fail(now, "the site never comes to its answer")
                return
            data = data[end.end() :]
        if end is None:
            now.unread = data
            if len(data) >= ANSWER_HEAD_LIMIT:
                self._fail(now, "the site's headers are too long")
            return
        try:
            head = read_answer(data[: end.end()])
        except BadAnswerError as error:
            self._fail(now, f"invalid response: {error}")
            return
        data = data[end.end() :]
        now.unread = b""
        now.answer = head
        now.waiting.clear()
        now.reader = reader_of(head, now.head.method)
        out = head.towards(close=now.head.close or isinstance(now.reader, UntilClose))
        self._download(now, head, data, out)

    def _download(self, now: Exchange, head: AnswerHead, data: bytes, out: bytes) -> None:
        reader = now.reader
        if reader is None:
            rest = data
        else:
            try:
                content, rest = reader.feed(data)
            except BadBodyError as error:
                now.carried.received += len(error.before)
                self.out.send(out + chunk(error.before))
                self._break_off(now)
                return
            now.carried.received += len(content)
            out += chunk(content) if head.chunked else content
            if head.chunked and reader.done:
                out += LAST_CHUNK
        if out:
            self.out.send(out)
        if reader is None or reader.done:
            self._complete(now, head, sure=not rest)

    # --- the end of an exchange ---

    def _complete(self, now: Exchange, head: AnswerHead, *, sure: bool) -> None:
        now.over = True
        self._lane.finished(now.carried, head.status)
        now.fit = sure and not head.close
        if now.body is not None and now.fit:
            return
        self._release(keep=now.fit)
        if isinstance(now.reader, UntilClose):
            self._end()
        elif now.body is None:
            self._next(now)
            self._go_on()

    def _next(self, now: Exchange) -> None:
        # Only once the request is whole: a browser that sends first and reads later sees its answer.
        if now.head.close:
            self._end()
        else:
            self._now = None

    def _fail(self, now: Exchange, problem: str) -> None:
        # The site did not answer, or not in a way that can be passed on.
        self._release(keep=False)
        now.over = True
        self.out.act(Failure(self._client, now.head, now.carried, problem))

    def apologise(self, failure: Failure) -> None:
        """Send the answer that stands for the site's."""
        now = self._now
        if now is None or self.gone:
            return
        self.out.send(own_answer(failure.answer, now.head.method, close=now.head.close))
        if now.body is None:
            self._next(now)
            self._go_on()

    def _break_off(self, now: Exchange) -> None:
        # In the middle of an answer there is no way to tell the client.
        now.over = True
        self._lane.finished(now.carried, now.status)
        self._end()

    def _release(self, *, keep: bool) -> None:
        now = self._now
        if now is not None:
            now.upstream = None
        if keep:
            self._sites.keep(shared=now is None or not now.own)
        else:
            self._sites.drop()

    def _end(self) -> None:
        unread = bool(self._buffer) or (self._now is not None and self._now.body is not None)
        self._release(keep=False)
        self._now = None
        self._buffer = b""
        self.gone = True
        self.out.act(Close(unread))
