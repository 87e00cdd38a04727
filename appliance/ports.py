"""The ports on which the workers listen: opened once, and kept while workers come and go.

What lives only here: who holds the listening sockets. Each worker has sockets of its own (SO_REUSEPORT: the
kernel shares out the connections), and the supervisor holds them all as well. So connections that wait to be
let in survive the end of a worker, and its successor takes them. A place that has nobody for a while is
given up: its sockets are closed, so that the kernel sends nobody there.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from appliance.gateway.listen import at, listening
from appliance.supervisor import StartError

_HINTS = {
    errno.EADDRINUSE: "another program uses this port; end it, or choose another in the configuration file",
    errno.EACCES: "ports below 1024 need the right to open them; choose another in the configuration file",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose another in the configuration file",
}


class Ports:
    """The listening sockets of `count` places, each at all of `addresses`.

    `held` are sockets that are open already: they are shared out, and those that are for no address of ours
    are closed.
    """

    def __init__(
        self, addresses: Sequence[tuple[str, int]], count: int, held: Sequence[socket.socket] = ()
    ) -> None:
        self._addresses = tuple(addresses)
        self._places: list[list[socket.socket]] = [[] for _ in range(count)]
        kept: list[socket.socket] = []
        for address in self._addresses:
            # More than there are places for, after a change of their number: nobody who waits is lost.
            for number, each in enumerate(at(held, *address)):
                self._places[number % count].append(each)
                kept.append(each)
        for each in held:
            if each not in kept:
                each.close()

    def of(self, place: int) -> tuple[socket.socket, ...]:
        """Return the sockets of a place, opened if they are not; OSError if they cannot be."""
        sockets = self._places[place]
        for address in self._addresses:
            if not at(sockets, *address):
                sockets.append(listening(*address))
        return tuple(sockets)

    def give_up(self, place: int) -> None:
        """Close the sockets of a place, in which nobody serves."""
        for each in self._places[place]:
            each.close()
        self._places[place].clear()

    @property
    def all(self) -> list[socket.socket]:
        """Every socket that is open."""
        return [each for sockets in self._places for each in sockets]


def claim_ports(addresses: Sequence[tuple[str, int]]) -> None:
    """Make sure that nobody listens on `addresses`; StartError names the first that is taken.

    Workers share their port among themselves (SO_REUSEPORT), so a second gateway of the same user
    would not be refused by the kernel, and would take half of the connections.
    """
    for host, port in addresses:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), port))
                probe.listen(1)
            except OSError as error:
                hint = _HINTS.get(error.errno or 0, "choose another address in the configuration file")
                raise StartError(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from error
