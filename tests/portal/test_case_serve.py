"""The server of the pages of cases."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from pathlib import Path

import httpx
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from appliance.gateway.listen import listening
from appliance.portal import case_serve

CA = trustme.CA()


async def who(request: Request) -> Response:
    return PlainTextResponse(request.client.host if request.client else "nobody")


@pytest.mark.slow
async def test_it_serves_under_encryption_alone_and_ends_with_its_starter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks is who is connected, whatever a header claims; and no process stays behind."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CA.issue_cert("127.0.0.1").configure_cert(context)
    roots = tmp_path / "roots.pem"
    CA.cert_pem.write_to_path(str(roots))
    listener = listening("127.0.0.1", 0)
    port = listener.getsockname()[1]
    reading, writing = os.pipe()
    with os.fdopen(reading) as told:
        monkeypatch.setattr(sys, "stdin", told)
        app = Starlette(routes=[Route("/", who)])
        serving = asyncio.create_task(case_serve._serve(app, [listener], context))
        trusts = ssl.create_default_context(cafile=str(roots))
        async with httpx.AsyncClient(verify=trusts) as browser:
            headers = {"x-forwarded-for": "10.0.0.9", "forwarded": "for=10.0.0.9"}
            assert (await browser.get(f"https://127.0.0.1:{port}/", headers=headers)).text == "127.0.0.1"
            with pytest.raises(httpx.TransportError):
                await browser.get(f"http://127.0.0.1:{port}/")
        os.close(writing)
        await asyncio.wait_for(serving, 10)


@pytest.mark.slow
@pytest.mark.parametrize("nothing", [os.devnull, None])
async def test_it_serves_as_a_unit_of_its_own_where_nobody_holds_its_input(
    nothing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systemd gives a service /dev/null, which cannot be waited for: the pages would never come up."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CA.issue_cert("127.0.0.1").configure_cert(context)
    roots = tmp_path / "roots.pem"
    CA.cert_pem.write_to_path(str(roots))
    listener = listening("127.0.0.1", 0)
    address = f"https://127.0.0.1:{listener.getsockname()[1]}/"
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn hands it on when it has ended
    with contextlib.ExitStack() as files:
        files.callback(signal.signal, signal.SIGTERM, before)
        told = files.enter_context(os.fdopen(os.open(nothing, os.O_RDONLY))) if nothing else None
        monkeypatch.setattr(sys, "stdin", told)
        app = Starlette(routes=[Route("/", who)])
        serving = asyncio.create_task(case_serve._serve(app, [listener], context))
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(roots))) as browser:
            assert (await browser.get(address)).text == "127.0.0.1"
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(serving, 10)
