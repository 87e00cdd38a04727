"""Takes accounting packets from the network, one after the other, and answers what was kept.

What lives only here: the socket, and the threads: one that takes packets, and one that asks the directory, so
that a directory which does not answer holds up no packet. Only what is on the disk is answered (RFC 2866, 2):
a client sends the rest again.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from appliance.identity.names import IdentityError
from appliance.identity.radius import LONGEST, DropError, Outcome, Reader
from appliance.identity.radius_people import Logins

TOLD_SECONDS = 60.0
"""How often the same trouble of the same client is told."""

_BUFFER = 4 * 1024 * 1024  # a whole school that logs in at once
_WAITING = 2_000

_log = logging.getLogger(__name__)


class Accounting:
    """Takes packets for one school; `count` is told what became of each."""

    def __init__(self, reader: Reader, logins: Logins, count: Callable[[Outcome], None]) -> None:
        self._reader = reader
        self._logins = logins
        self._count = count
        self._told: dict[tuple[str, Outcome], float] = {}
        self._asks: queue.Queue[str] = queue.Queue(_WAITING)

    def take(self, data: bytes, sender: str, now: float) -> bytes:
        """Return the answer to a packet; empty where it gets none."""
        try:
            genuine = self._reader.read(data, sender, now)
            if genuine.again:
                self._count(Outcome.DUPLICATE)
                return genuine.answer
            taken = self._logins.take(genuine.report, now)
            name = self._logins.settle(genuine.report, now) if taken else ""
        except DropError as drop:
            self._drop(drop.outcome, sender, str(drop), now)
            return b""
        except (IdentityError, OSError) as error:
            self._drop(Outcome.FAILED, sender, str(error), now)
            return b""
        if not taken:
            self._drop(Outcome.REPLAYED, sender, "it is older than what is known", now)
            return b""
        self._reader.keep(data, sender, now)
        if name:
            with suppress(queue.Full):  # it is asked again with the next packet
                self._asks.put_nowait(name)
        self._count(Outcome.ACCEPTED)
        return genuine.answer

    def ask_for_ever(self) -> None:
        """Ask the directory about whoever is waiting, one after the other."""
        while True:
            self.ask_next()

    def ask_next(self) -> None:
        """Wait for a name, and ask about it."""
        name = self._asks.get()
        try:
            self._logins.ask(name, time.time())
        except (IdentityError, OSError) as error:
            _log.warning("a network log-in could not be settled: %s", error)

    def _drop(self, outcome: Outcome, sender: str, why: str, now: float) -> None:
        self._count(outcome)
        if self._told.get((sender, outcome), 0.0) + TOLD_SECONDS > now:
            return
        if len(self._told) > _WAITING:
            self._told.clear()
        self._told[sender, outcome] = now
        _log.warning("a RADIUS packet of %s was not taken (%s): %s", sender, outcome.value, why)


def listen(address: tuple[str, int]) -> socket.socket:
    """Return a socket that takes packets at an address; with `::` those of IPv4 as well. OSError."""
    host, port = address
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    if made.family is socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    try:
        made.bind(address)
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"{error.strerror} (UDP port {port})", host) from error
    return made


def serve(accounting: Accounting, listening: socket.socket, told: int | None = None) -> None:
    """Take packets until the descriptor `told` ends (standard input, where none is given)."""
    told = sys.stdin.fileno() if told is None else told
    threading.Thread(target=accounting.ask_for_ever, name="directory", daemon=True).start()
    with listening:
        while True:
            ready, _, _ = select.select([listening, told], [], [])
            if told in ready and not os.read(told, 4096):
                return
            if listening in ready:
                data, sender, *_ = listening.recvfrom(LONGEST + 1)
                if answer := accounting.take(data, sender[0], time.time()):
                    with suppress(OSError):  # whoever asked has gone; it will ask again
                        listening.sendto(answer, sender)
