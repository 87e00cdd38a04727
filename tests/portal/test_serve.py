from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from appliance.gateway.relay import Relay
from appliance.identity.wire import ADDRESS, SOCKET
from appliance.portal import serve


async def told(request: Request) -> Response:
    answer = PlainTextResponse(f"{request.headers[ADDRESS]} {(await request.body()).decode()}")
    answer.set_cookie("a", "b")
    return answer


@pytest.mark.slow
async def test_the_sign_in_is_reached_over_its_socket_and_ends_with_its_starter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's question arrives with the client's address, and the process ends when its starter does."""
    folder = tmp_path / ("a long name of a folder " * 5)
    folder.mkdir()
    reading, writing = os.pipe()
    with os.fdopen(reading) as told_to:
        monkeypatch.setattr(sys, "stdin", told_to)
        app = Starlette(routes=[Route("/sign-in", told, methods=["POST"])])
        serving = asyncio.create_task(serve._serve(app, serve.listen(folder)))
        assert (folder / SOCKET).stat().st_mode & 0o077 == 0
        sent = {"cookie": "x=y", ADDRESS: "forged", "x-other": "z"}
        answer = await Relay(folder).ask("POST", "/sign-in", sent, b"body", client="10.0.0.1", scheme="https")
        assert (answer.status, answer.body) == (200, b"10.0.0.1 body")
        assert [value for name, value in answer.headers if name == "set-cookie"] == [
            "a=b; Path=/; SameSite=lax"
        ]
        os.close(writing)
        await asyncio.wait_for(serving, 10)
