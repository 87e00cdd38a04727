"""Weeks of a school in one run: no worker grows, loses descriptors, or lets a byte through unjudged.

Mixed requests over HTTP/1.1 and HTTP/2, WebSockets, uploads, pages broken off in the middle, blocked sites,
and clients that begin and fall silent, round after round; after each round the workers' memory and
descriptors are taken. The whole run (a million requests on 50,000 connections) takes an hour or more; an
interruption (Ctrl-C) ends it with what was seen so far:

    soak.py --requests 1000000            needs root, for network namespaces; a short run is a journey
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import ssl
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from tests.bench.client import NotAnsweredError, over
from tests.bench.measure import report
from tests.journeys.lab import Lab, Via, built
from tests.journeys.origin import HELLO

EACH, THREADS = 20, 4
"""Requests on an ordinary connection, and clients at a time: a million requests make 50,000 connections."""
GROWTH = 1.0
"""MiB that a worker may grow with 100,000 requests, once it is warm."""
DESCRIPTORS = 24
"""Descriptors that a worker may have more after the last round than after the first."""
_SITE, _BLOCKED = "education.example", "gambling.example"
_SIZE = len(f"{_SITE}: {HELLO}\n")
_WARM = 0.3
_SILENT = 40
_UPLOAD = bytes(200_000)
_MESSAGES: tuple[str | bytes, ...] = ("good morning", bytes(50_000))
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: gone at once, without a word


@dataclass(frozen=True, slots=True)
class Sample:
    """What the workers held after a round: requests so far, MiB of their own, open descriptors."""

    requests: int
    memory: float
    descriptors: int


@dataclass
class Soak:
    """One run against one school; `done` counts what was carried, `wrong` what should not have happened."""

    lab: Lab
    dice: random.Random = field(default_factory=lambda: random.Random(20261122))
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    _silent: list[socket.socket] = field(default_factory=list)

    def run(self, requests: int, rounds: int) -> None:
        """Carry at least so many requests, in so many rounds, and sample after each."""
        for at in range(rounds):
            wanted = requests * (at + 1) // rounds
            threads = [threading.Thread(target=self._client, args=(wanted,)) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for wire in self._silent:
                wire.close()
            self._silent.clear()
            time.sleep(2)  # what has ended is put away, and the log is written
            self.samples.append(self._sample())
            print(f"  round {at + 1} of {rounds}: {self.samples[-1]}", file=sys.stderr, flush=True)

    def findings(self) -> list[str]:
        """Return what must not be so; empty when all is well."""
        found = [*dict.fromkeys(self.wrong)]
        if packets := self.lab.origin.packets_to_blocked():
            found.append(f"{packets} packets reached a blocked site")
        with (self.lab.origin.folder / "access.log").open("rb") as log:
            seen = sum(1 for _ in log)
        judged = self.lab.total("gateway_requests_total")
        if seen > judged:
            found.append(f"the sites saw {seen} requests, and only {judged:.0f} were judged")
        if self.lost() > DESCRIPTORS:
            found.append(f"the workers hold {self.lost()} descriptors more than after the first round")
        return found

    def slope(self) -> float:
        """Return the MiB by which a worker grows with 100,000 requests, once it is warm."""
        warm = self._warm()
        line = statistics.linear_regression([one.requests for one in warm], [one.memory for one in warm])
        return line.slope * 100_000

    def grown(self) -> float:
        """Return the MiB that the workers hold more at the end than when they were warm."""
        return self.samples[-1].memory - self._warm()[0].memory

    def lost(self) -> int:
        """Return how many descriptors more are open after the last round than after the first."""
        return self.samples[-1].descriptors - self.samples[0].descriptors

    def _warm(self) -> list[Sample]:
        return self.samples[int(len(self.samples) * _WARM) :]

    def _sample(self) -> Sample:
        open_now = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.lab.gateway.workers())
        return Sample(self.done["requests"], self.lab.gateway.memory() / 1024, open_now)

    def _client(self, wanted: int) -> None:
        kinds: list[Callable[[], None]] = [self._page] * 80 + [self._odd] * 20
        while self.done["requests"] < wanted:
            try:
                self.dice.choice(kinds)()
            except (OSError, NotAnsweredError, EOFError, TimeoutError) as error:
                self.wrong.append(f"{type(error).__name__}: {str(error)[:120]}")
                if len(self.wrong) > 100:
                    return

    def _open(self, *alpn: str, host: str = _SITE) -> ssl.SSLSocket:
        wire = self.lab.dial(via=Via.WIRE, port=443)
        wire.settimeout(60)
        self.done["connections"] += 1
        return self.lab.trusting(*alpn).wrap_socket(wire, server_hostname=host)

    def _page(self) -> None:
        protocols = ("h2", "http/1.1") if self.dice.random() < 1 / 2 else ("http/1.1",)
        with contextlib.closing(over(self._open(*protocols), _SITE)) as client:
            for at in range(EACH):
                client.get(f"/{at}", _SIZE)
                self.done["requests"] += 1

    def _odd(self) -> None:
        self.dice.choice([self._socket, self._upload, self._break_off, self._fall_silent, self._blocked])()

    def _socket(self) -> None:
        with self._open("http/1.1") as wire:
            for message, echo in zip(_MESSAGES, _echoed(wire, _MESSAGES), strict=True):
                if echo != message:
                    self.wrong.append("a WebSocket's message came back changed")
        self._carried("sockets")

    def _upload(self) -> None:
        with self._open("http/1.1") as wire:
            head = f"POST /up HTTP/1.1\r\nHost: {_SITE}\r\nContent-Length: {len(_UPLOAD)}\r\n\r\n"
            wire.sendall(head.encode() + _UPLOAD)
            if b" 200 " not in wire.recv(4096):
                self.wrong.append("an upload was not taken")
        self._carried("uploads")

    def _break_off(self) -> None:
        with self._open("http/1.1") as wire:
            wire.sendall(f"GET /big HTTP/1.1\r\nHost: {_SITE}\r\n\r\n".encode())
            wire.recv(65_536)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._carried("broken off")

    def _fall_silent(self) -> None:
        # Half a ClientHello, half a head, or nothing at all: they stay as they are until the round ends.
        wire = self.lab.dial(via=Via.WIRE, port=self.dice.choice((80, 443)))
        wire.sendall(self.dice.choice((b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: educ")))
        self._silent.append(wire)
        if len(self._silent) > _SILENT:
            self._silent.pop(0).close()
        self.done["silent"] += 1

    def _blocked(self) -> None:
        with self._open("http/1.1", host=_BLOCKED) as wire:
            wire.sendall(f"GET / HTTP/1.1\r\nHost: {_BLOCKED}\r\nAccept: text/html\r\n\r\n".encode())
            got = wire.recv(65_536)
            if b" 403 " not in got[:20] or HELLO.encode() in got:
                self.wrong.append("a blocked site was not blocked")
        self._carried("blocked")

    def _carried(self, what: str) -> None:
        self.done[what] += 1
        self.done["requests"] += 1


def _echoed(wire: ssl.SSLSocket, messages: Sequence[str | bytes]) -> Iterator[str | bytes]:
    """Open a WebSocket, send messages, and yield what comes back.

    In one thread: the library's own client reads in a second one, and two on one connection of Python's TLS
    now and then lose what is sent while the server's session tickets arrive.
    """
    protocol = ClientProtocol(parse_uri(f"ws://{_SITE}/socket"), max_size=None)
    protocol.send_request(protocol.connect())
    opened = _said(wire, protocol)
    if not isinstance(opened, Response) or opened.status_code != 101:
        raise NotAnsweredError("the WebSocket was not opened")
    for message in messages:
        if isinstance(message, str):
            protocol.send_text(message.encode())
        else:
            protocol.send_binary(message)
        echo = _said(wire, protocol)
        if isinstance(echo, Frame):
            yield bytes(echo.data).decode() if echo.opcode is Opcode.TEXT else bytes(echo.data)
    protocol.send_close()
    wire.sendall(b"".join(protocol.data_to_send()))


def _said(wire: ssl.SSLSocket, protocol: ClientProtocol) -> Response | Frame:
    """Send what is to be sent, and return what comes next."""
    while True:
        wire.sendall(b"".join(protocol.data_to_send()))
        for event in protocol.events_received():
            if isinstance(event, Response | Frame):
                return event
        if not (data := wire.recv(65_536)):
            raise EOFError("the WebSocket ended")
        protocol.receive_data(data)


def main(arguments: Sequence[str]) -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000, help="how many (default a million)")
    parser.add_argument("--rounds", type=int, default=40, help="samples to take on the way (default 40)")
    options = parser.parse_args(arguments)
    with report("soak") as done, tempfile.TemporaryDirectory() as folder:
        with built(Path(folder), workers=1) as lab:
            soak = Soak(lab)
            try:
                soak.run(options.requests, options.rounds)
            except KeyboardInterrupt:
                done.note("ended early: what follows is of the rounds that were whole")
            found = soak.findings()
        done.table("What was carried", [dict(soak.done)])
        rows = [
            {"requests": one.requests, "MiB": one.memory, "descriptors": one.descriptors}
            for one in soak.samples
        ]
        done.table("After each round", rows)
        done.reach("growth, once warm", soak.slope(), GROWTH, "MiB per 100,000")
        done.reach("descriptors more than after the first round", soak.lost(), DESCRIPTORS, "")
        done.reach("what should not have happened", len(found), 0, "")
        for text in found:
            done.note(text)


if __name__ == "__main__":
    main(sys.argv[1:])
