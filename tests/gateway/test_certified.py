"""Encryption of servers of the gateway's own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from pathlib import Path

import pytest

from appliance.gateway.ca import Authority, ensure_authority
from appliance.gateway.certified import Certified


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cases.school.example", "127.0.0.1"])
async def test_whoever_trusts_the_schools_ca_trusts_the_server(tmp_path: Path, name: str) -> None:
    """Staff see no warning that they would have to learn to click away."""
    ensure_authority(tmp_path, "Hill")
    context = Certified(Authority(tmp_path), name).context()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusts = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with server:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusts, server_hostname=name)
        assert writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=trusts, server_hostname="other.example")


def test_a_certificate_that_ends_is_made_anew_without_a_restart(tmp_path: Path) -> None:
    """A process that runs for a year must not show a certificate of 90 days."""
    ensure_authority(tmp_path, "Hill")
    authority = Authority(tmp_path)
    made = Certified(authority, "cases.school.example")
    first = made._fresh()
    assert made._fresh() is first
    kept, leaf = authority._leaves["cases.school.example"]
    authority._leaves["cases.school.example"] = (kept - dt.timedelta(days=100), leaf)
    assert made._fresh() is not first
