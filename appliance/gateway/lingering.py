"""The end of a connection whose client may still be sending.

What lives only here: the wait before such a connection is closed (RFC 9112 9.6). A socket that is closed
while bytes of the client lie unread answers them with a reset, and a reset takes away what the client has
not read yet: the very page that says why an upload was refused. So our side ends first, and what the
client still sends is read and dropped until it ends its side as well, within bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

LINGER_SECONDS = 2.0
"""How long a client has to read its answer and end its side."""

LINGER_BYTES = 67_108_864
"""Bytes that are read and dropped meanwhile."""

MOST_LINGERING = 256
"""Connections that may wait like this; beyond them, one is closed as it is."""

UNREAD_MARK = "closed while the client may still send"
"""What a layer logs just before it closes such a connection; `handler.Handler` reads it."""

_PIECE = 65_536
_FLUSH_SECONDS = 0.01
_lingering: set[asyncio.Task[None]] = set()


def linger(transport: asyncio.Transport) -> None:
    """Keep the socket of a transport, which is about to be closed, until its client has ended its side."""
    if len(_lingering) >= MOST_LINGERING:
        return
    original = transport.get_extra_info("socket")
    try:
        kept = socket.socket(fileno=os.dup(original.fileno()))
    except OSError:  # it has gone already, or there are no descriptors left
        return
    task = asyncio.get_running_loop().create_task(_until_ended(kept, transport))
    _lingering.add(task)
    task.add_done_callback(_lingering.discard)


async def _until_ended(kept: socket.socket, transport: asyncio.Transport) -> None:
    loop = asyncio.get_running_loop()
    left = LINGER_BYTES
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while transport.get_write_buffer_size() or not transport.is_closing():  # noqa: ASYNC110 - nobody tells when it is flushed
                    await asyncio.sleep(_FLUSH_SECONDS)
                kept.shutdown(socket.SHUT_WR)
                while left > 0 and (piece := await loop.sock_recv(kept, _PIECE)):
                    left -= len(piece)
    finally:
        kept.close()
        transport.abort()
