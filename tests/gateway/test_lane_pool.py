from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from appliance.gateway import lane_pool
from appliance.gateway.lane_pool import Pool, Target, Upstream, context_of
from appliance.gateway.reach import Reach
from appliance.gateway.upstream import failure_of
from appliance.model.decision import Reason
from tests.gateway.lanes import HOST, Lane, origin_ca, play

SITE = Target("site.example", 443, tls=True)


class Wire(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def is_closing(self) -> bool:
        return "close" in self.done

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def get_extra_info(self, *_: Any) -> Any:
        return SimpleNamespace(session_reused=False, session=None)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(origin_ca().cert_pem.bytes())
    return Pool(Reach(), roots)


def idle(pool: Pool, target: Target = SITE) -> Upstream:
    upstream = Upstream(pool, target)
    upstream.connection_made(Wire())
    upstream.keep()
    return upstream


def wire(upstream: Upstream) -> list[str]:
    return cast("Wire", upstream._transport).done


async def test_a_connection_serves_its_own_target_only(pool: Pool) -> None:
    """Another host, port or no encryption is another connection: each was verified for one thing."""
    kept = idle(pool)
    for other in (SITE._replace(host="other.example"), SITE._replace(port=8443), SITE._replace(tls=False)):
        assert pool.take(other, again=True) is None
    assert pool.take(SITE, again=True) is kept
    assert pool.take(SITE, again=True) is None
    pool.close()


async def test_what_is_one_client_s_alone_goes_to_nobody_else(pool: Pool) -> None:
    """The answer to a request that one client hid in a body is not another one's (response smuggling)."""
    mine, free = object(), idle(pool)
    own = idle(pool)
    own.only = mine
    assert pool.take(SITE, object(), again=True) is free
    assert pool.take(SITE, object(), again=True) is None
    assert pool.take(SITE, mine, again=True) is own
    assert pool.idle == 0
    pool.close()


async def test_what_must_not_be_sent_twice_gets_a_connection_that_was_just_in_use(pool: Pool) -> None:
    """A form is not sent over a connection that its site may have left long ago."""
    kept = idle(pool)
    kept.since -= lane_pool.IDLE_FRESH + 1
    assert pool.take(SITE, again=False) is None
    assert pool.take(SITE, again=True) is kept
    pool.close()


async def test_a_connection_that_speaks_unasked_or_ends_is_forgotten(pool: Pool) -> None:
    """Bytes that nobody asked for can be nobody's answer (response smuggling)."""
    talks, ends = idle(pool), idle(pool)
    talks.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    ends.connection_lost(None)
    assert wire(talks) == ["close"]
    assert pool.idle == 0
    assert pool.take(SITE, again=True) is None
    pool.close()


async def test_the_pool_is_bounded_in_number_and_time(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections cost memory and descriptors, so there are only so many, for so long (H36)."""
    monkeypatch.setattr(lane_pool, "MOST_IDLE_EACH", 2)
    monkeypatch.setattr(lane_pool, "MOST_IDLE", 3)
    first = idle(pool)
    for _ in range(2):
        idle(pool)
    assert (wire(first), pool.idle) == (["close"], 2)
    others = [idle(pool, SITE._replace(port=port)) for port in (1, 2)]
    assert pool.idle == 3
    others[1].since -= lane_pool.IDLE_SECONDS + 1
    pool._sweep()
    assert (wire(others[1]), pool.idle) == (["close"], 2)
    pool.close()
    assert pool.idle == 0


async def test_a_closed_connection_is_not_kept(pool: Pool) -> None:
    """What has ended is no use to the next request."""
    upstream = Upstream(pool, SITE)
    upstream.connection_made(Wire())
    upstream.close()
    upstream.keep()
    assert pool.idle == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254"])
async def test_an_internal_address_is_not_connected_to(pool: Pool, host: str) -> None:
    """The gateway is no way into the school's own network, in this lane either (H27)."""
    with pytest.raises(OSError, match="internal") as caught:
        await pool.connect(Target(host, 80, tls=False))
    assert failure_of(str(caught.value)) is Reason.OWN_NETWORK


@pytest.mark.slow
def test_a_certificate_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Chain and name are verified, and there is no way to switch that off (H16)."""

    async def scenario(lane: Lane) -> None:
        assert lane.pool is not None
        for host in ("forged.example", HOST):
            with pytest.raises(OSError, match="certificate") as caught:
                await lane.pool.connect(Target(host, lane.origin.port, tls=True))
            assert failure_of(str(caught.value)) is Reason.UPSTREAM_CERTIFICATE

    play(scenario, tmp_path)


@pytest.mark.slow
def test_a_session_is_resumed_with_the_same_host_only(tmp_path: Path) -> None:
    """The second handshake with a site is the cheap one; another host starts afresh."""

    async def scenario(lane: Lane) -> None:
        assert lane.pool is not None
        reused = []
        for host in ("site.example", "site.example", "other.example"):
            upstream = await lane.pool.connect(Target(host, lane.origin.port, tls=True))
            upstream.user = cast("Any", SimpleNamespace(received=lambda _: None, lost=lambda _: None))
            upstream.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
            assert upstream._transport is not None
            reused.append(upstream._transport.get_extra_info("ssl_object").session_reused)
            upstream.keep()
            upstream.close()
        assert reused == [False, True, False]

    play(scenario, tmp_path)


def test_the_context_verifies(tmp_path: Path) -> None:
    """TLS 1.2 at least, a certificate, and the host's name in it."""
    roots = tmp_path / "roots.pem"
    roots.write_bytes(origin_ca().cert_pem.bytes())
    context = context_of(roots)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
