"""A small web site of the gateway's own, so that the demo works without the internet.

What lives only here: that site. It stands for the web: the gateway reaches it like any other site, and
judges requests to it like any other.
"""

from __future__ import annotations

import asyncio
import contextlib

_PAGE = """<!doctype html>
<html lang="en-GB"><title>Hello from the demo site</title>
<h1>Hello!</h1>
<p>This page stands for the web. The gateway judged your request, and let it pass.</p>
</html>
"""
_SECONDS = 10.0


async def serve_demo(host: str, port: int) -> None:
    """Serve the demo site at `host`:`port` until cancelled; OSError if the port is taken."""
    server = await asyncio.start_server(_answer, host, port)
    async with server:
        await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = _PAGE.encode()
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _SECONDS)
        head = (
            "HTTP/1.1 200 OK",
            "Content-Type: text/html",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        await writer.drain()
    writer.close()
