"""Runs the sign-in on a socket in the state folder, which only the gateway's own user can open.

What lives only here: uvicorn, and how this process ends: when it is told to, or when whoever started it
has gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from appliance.identity.wire import SOCKET
from appliance.starter import watch_starter

MOST = 400
"""Requests at once; more are told that the sign-in is busy."""


def serve(app: Starlette, folder: Path) -> None:
    """Serve `app` on a socket in `folder` until SIGTERM or the end of standard input; OSError if it fails."""
    asyncio.run(_serve(app, listen(folder)))


def listen(folder: Path) -> socket.socket:
    """Return a socket in `folder` that takes connections of our own user alone."""
    (folder / SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By way of a descriptor: the path of a socket may not be longer than 107 bytes, a folder's may.
    there = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        listening.bind(f"/proc/self/fd/{there}/{SOCKET}")
    finally:
        os.umask(before)
        os.close(there)
    listening.listen(MOST)
    return listening


async def _serve(app: Starlette, listening: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=1,
        limit_concurrency=MOST,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    watch_starter(lambda: setattr(server, "should_exit", True))
    await server.serve([listening])
