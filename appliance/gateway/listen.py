"""Where a worker listens, how a listening socket is made, and how a worker says that it cannot."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a worker listens; None for no such port.

    As an explicit proxy, for redirected connections, and as a proxy spoken to under encryption.
    """

    explicit: tuple[str, int] | None
    transparent: tuple[str, int] | None
    encrypted: tuple[str, int] | None = None

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Every address and port to bind."""
        wanted = [each for each in (self.explicit, self.transparent, self.encrypted) if each is not None]
        return tuple((address, port) for host, port in wanted for address in addresses(host))


class WorkerError(RuntimeError):
    """The worker cannot run; the text says why."""


def addresses(host: str) -> list[str]:
    """Return the addresses that `host` of the settings stands for.

    `[::]` means every address, as `ip` and `ss` understand it; asyncio would take it as IPv6 alone, and
    half of the school's traffic would find nobody listening.
    """
    plain = host.strip("[]")
    return ["0.0.0.0", "::"] if plain in ("", "::") else [plain]  # noqa: S104 - the technician asked for it


def listening(address: str, port: int) -> socket.socket:
    """Return a socket that listens, beside those of the other workers; OSError if it cannot."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        made.bind((address, port))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def at(sockets: Iterable[socket.socket], address: str, port: int) -> list[socket.socket]:
    """Return those of `sockets` that listen there."""
    return [each for each in sockets if each.getsockname()[:2] == (address, port)]
