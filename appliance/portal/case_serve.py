"""Serves the pages of cases, under encryption, on an address of their own.

What lives only here: uvicorn for them, and how this process ends: when it is told to, or when whoever
started it has gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette

MOST = 100
"""Connections at once; more are told that it is busy."""


def serve_encrypted(app: Starlette, sockets: Sequence[socket.socket], context: ssl.SSLContext) -> None:
    """Serve `app` on `sockets` that listen until SIGTERM or the end of standard input; OSError."""
    asyncio.run(_serve(app, sockets, context))


async def _serve(app: Starlette, sockets: Sequence[socket.socket], context: ssl.SSLContext) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would name who looked at what; the audit does
        server_header=False,
        date_header=False,
        proxy_headers=False,  # who asks is who is connected, whatever a header says
        timeout_keep_alive=5,
        limit_concurrency=MOST,
        lifespan="off",
    )
    config.load()
    config.ssl = context  # uvicorn would read it from files, and the key never comes to a disk
    server = uvicorn.Server(config)
    _watch_starter(server)
    await server.serve(list(sockets))


def _watch_starter(server: uvicorn.Server) -> None:
    # `run` holds the other end of our standard input. Under a unit of our own there is none (/dev/null, which
    # cannot be waited for): then SIGTERM alone ends this, which uvicorn sees to.
    loop = asyncio.get_running_loop()
    try:
        told = sys.stdin.fileno()
        loop.add_reader(told, lambda: _ended(server, told))
    except (OSError, ValueError, AttributeError):
        return


def _ended(server: uvicorn.Server, told: int) -> None:
    if not os.read(told, 4096):
        asyncio.get_running_loop().remove_reader(told)
        server.should_exit = True
