"""Serves the pages of cases, under encryption, on an address of their own.

What lives only here: uvicorn for them, and how this process ends: when it is told to, or when whoever
started it has gone.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette

from appliance.starter import watch_starter

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
    watch_starter(lambda: setattr(server, "should_exit", True))
    await server.serve(list(sockets))
