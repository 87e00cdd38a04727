"""Both ends of a connection: who it comes from, and where it was going before it was redirected."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Any

from mitmproxy import connection, platform


def peer_of(client: connection.Client) -> str:
    """Return the device's address, in the one form that the record has; empty if it has gone already."""
    peer: Any = client.peername
    return str(peer[0]).removeprefix("::ffff:") if peer else ""


def is_lost(
    address: str, user: str, addresses: Collection[str], users: Collection[str], nameless: Collection[str]
) -> bool:
    """Return whether what a device opened is to end: by address, by the credentials shown, or without any."""
    return user in users or address in addresses or (not user and address in nameless)


def destination_of(sock: socket.socket) -> tuple[str, int]:
    """Return where the client of a redirected connection wanted to go.

    OSError if it was not: whoever connects to the port itself would be sent round in circles (H26).
    """
    assert platform.original_addr is not None  # noqa: S101 - set on Linux
    try:
        wanted: tuple[str, int] = platform.original_addr(sock)
    except OSError as error:
        raise OSError(f"it came to the transparent port and was not redirected ({error})") from None
    if wanted == sock.getsockname()[:2]:
        raise OSError("it came to the transparent port and was not redirected")
    return wanted
