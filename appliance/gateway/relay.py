"""Carries what is for the sign-in to its process, and its answer back.

What lives only here: one HTTP/1.1 exchange over a socket in the state folder. The sign-in learns the
client's address from us and from nobody else; nothing that a client calls itself is passed on. Who has just
signed in is known here by the time that they hear of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from appliance.gateway.answers import Answer
from appliance.identity.wire import ADDRESS, SCHEME, SOCKET

LIMIT = 1_048_576
PATIENCE = 20.0
"""Seconds for one exchange; below what the hook has for it, so that the answer is ours."""

LOOK_PATIENCE = 1.0
"""Seconds that an answer waits until its sign-in is known here; a moment later it is known in any case."""

_SEE_OTHER = 303

_PASSED_ON = ("cookie", "content-type", "sec-fetch-site", "accept-language")
_KEPT_BACK = {"connection", "transfer-encoding", "keep-alive", "server", "date"}
_BUSY = Answer(
    503,
    (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"), ("retry-after", "5")),
    b"The sign-in is busy. Wait a moment, then try again.\n",
)


class Relay:
    """The way to the sign-in, whose socket lies in `folder`."""

    def __init__(self, folder: Path, look: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Begin; `look` puts in force here what has changed of who is signed in."""
        self._folder = folder
        self._look = look
        self._looks: set[asyncio.Task[None]] = set()

    async def ask(
        self, method: str, target: str, headers: dict[str, str], body: bytes, *, client: str, scheme: str
    ) -> Answer:
        """Return the sign-in's answer; one that says "busy" when there is none in time."""
        told = {name: headers[name] for name in _PASSED_ON if name in headers}
        told |= {ADDRESS: client, SCHEME: scheme, "host": "portal", "connection": "close"}
        told["content-length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
        if any("\r" in line or "\n" in line for line in lines):
            return _BUSY  # no header of a client's makes two of one
        request = "\r\n".join(lines).encode("utf-8", "replace") + body
        try:
            async with asyncio.timeout(PATIENCE):
                answer = _answer(await self._exchange(request))
        except (OSError, TimeoutError, ValueError):
            return _BUSY
        if method == "POST" and answer.status == _SEE_OTHER and self._look is not None:
            await self._learn(self._look())
        return answer

    async def _learn(self, look: Coroutine[Any, Any, None]) -> None:
        # A browser asks for its page at once, and would be sent back to the sign-in. A look goes on to its
        # end, whoever waits; one that fails is told by those that come ten times a second.
        task = asyncio.create_task(look)
        self._looks.add(task)
        task.add_done_callback(self._looked)
        await asyncio.wait({task}, timeout=LOOK_PATIENCE)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looks.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of

    async def _exchange(self, request: bytes) -> bytes:
        there = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        try:
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{there}/{SOCKET}")
        finally:
            os.close(there)
        try:
            writer.write(request)
            await writer.drain()
            found = bytearray()
            while (chunk := await reader.read(65_536)) and len(found) <= LIMIT:
                found += chunk
            return bytes(found)
        finally:
            writer.close()


def _answer(raw: bytes) -> Answer:
    head, mark, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not mark or len(raw) > LIMIT:
        raise ValueError("no whole answer")
    pairs = [
        (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    ]
    headers = tuple((name, value) for name, value in pairs if name not in _KEPT_BACK)
    return Answer(int(first.split(" ")[1]), headers, body)
