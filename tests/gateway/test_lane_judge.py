from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from appliance.gateway.lane_heads import RequestHead, read_request
from appliance.gateway.lane_judge import CLOSED, Failure, Lane, named
from appliance.gateway.translate import host_of
from appliance.model.decision import Reason
from appliance.model.known import Known
from appliance.model.url import Url, parse_url
from tests.doubles.addon import Bench, NoPages
from tests.doubles.gateway import MemoryLists


def head(host: str = "site.example", path: str = "/", more: str = "", asked: str = "") -> RequestHead:
    found = read_request(f"GET {asked}{path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
    assert found is not None
    return found


def encrypted(sni: str = "site.example", **bench: Any) -> tuple[Bench, Lane]:
    """Return a connection whose client has named `sni` in its encryption, in a tunnel."""
    made = Bench(lean=True, **bench)
    known = made.addon.connection_of(made.client)
    assert known is not None
    known.tunnel.encrypted, known.tunnel.port = True, 443
    known.tunnel.sni = known.tunnel.connect = host_of(sni)
    return made, made.lane(cast("Any", None))


def test_an_allowed_request_is_carried() -> None:
    """The lean lane judges by the same filtering, under every name the request has."""
    bench, lane = encrypted()
    carried = lane.admit(bench.client, head(path="/a?b"))
    assert carried is not None
    assert str(carried.request.url) == "https://site.example/a?b"
    assert bench.lists.asked == ["site.example"]
    assert len(bench.metrics.decisions) == len(bench.metrics.latencies) == 1
    lane.finished(carried, 200)
    lane.finished(carried, 200)
    assert [(row.status, row.host) for row in bench.recorder.kept] == [(200, "site.example")]


@pytest.mark.parametrize(
    ("sni", "request_head"),
    [
        ("bets.example", head("bets.example")),
        ("floor.example", head("floor.example")),
        ("forum.example", head("forum.example")),
        ("site.example", head("other.example")),
        ("site.example", head(asked="http://site.example")),
        ("site.example", head(path="/.well-known/school-gateway/review")),
        ("filter.internal", head("filter.internal")),
        ("site.example", head("site.example:99999")),
    ],
)
def test_what_is_not_simply_allowed_is_the_full_lane_s(sni: str, request_head: RequestHead) -> None:
    """Blocked, watched, contradictory or for the gateway itself: one place answers all of these."""
    bench, lane = encrypted(sni)
    assert lane.admit(bench.client, request_head) is None
    assert bench.recorder.kept == []


def test_a_client_that_knows_the_proxy_names_the_site_twice_alike() -> None:
    """Request line and Host must agree, or the full lane says why not (H24)."""
    bench = Bench(lean=True)
    lane = bench.lane(None)
    assert lane.admit(bench.client, head(asked="http://SITE.example")) is not None
    assert lane.admit(bench.client, head(asked="http://other.example")) is None
    assert lane.admit(bench.client, head()) is None


def test_a_fault_or_a_late_judgement_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be judged, or not in time, is answered closed by the full lane from then on (H1)."""
    bench, lane = encrypted()
    bench.lists.broken = RuntimeError("secret")
    assert lane.admit(bench.client, head()) is None
    late, slow = encrypted(deadline=0.001)
    asked = MemoryLists().lookup

    def slowly(url: Url) -> Known:
        time.sleep(0.01)
        return asked(url)

    monkeypatch.setattr(late.lists, "lookup", slowly)
    assert slow.admit(late.client, head()) is None
    for each, reason in ((bench, Reason.FAULT), (late, Reason.DEADLINE)):
        known = each.addon.connection_of(each.client)
        assert known is not None
        assert known.faulty is reason
        assert each.metrics.faults == [(reason, "lane")]
    bench.lists.broken = None
    assert lane.admit(bench.client, head()) is None


def test_a_connection_that_is_blocked_already_is_not_taken() -> None:
    """A site that was refused at the ClientHello has its page to come, in the full lane."""
    bench, lane = encrypted("bets.example")
    bench.addon.tls_clienthello(bench.hello("bets.example"))
    context = bench.hello("bets.example").context
    assert not lane.takes(context)
    free, other = encrypted()
    context = free.hello("site.example").context
    assert other.takes(context)
    context.client.alpn = b"h2"
    assert not other.takes(context)


def test_a_tunnel_is_opened_for_the_web_only() -> None:
    """A CONNECT to another port, inwards or to no host is the full lane's to refuse (H27)."""
    bench = Bench(lean=True)
    lane = bench.lane(None)
    for host, port in (("site.example", 22), ("printer.example", 443), ("a b", 443)):
        assert not lane.tunnel(bench.client, host, port)
    assert lane.tunnel(bench.client, "bets.example", 443)  # its page is shown within
    known = bench.addon.connection_of(bench.client)
    assert known is not None
    assert known.tunnel.connect == host_of("bets.example")


@pytest.mark.parametrize(
    ("message", "reason", "flagged"),
    [
        ("certificate verify failed", Reason.UPSTREAM_CERTIFICATE, True),
        ("no route", Reason.UPSTREAM_UNREACHABLE, False),
    ],
)
async def test_a_site_that_failed_is_answered_for_and_recorded(
    message: str, reason: Reason, flagged: bool
) -> None:
    """Our page, the reference on it, and one row: as in the full lane (H16, S-40)."""
    bench, lane = encrypted()
    carried = lane.admit(bench.client, head(more="Accept: image/png\r\n"))
    assert carried is not None
    failure = Failure(bench.client, head(more="Accept: image/png\r\n"), carried, message)
    await lane.lane_failed(failure)
    (row,) = bench.recorder.kept
    assert (row.decision.reason, row.decision.flagged, row.status) == (reason, flagged, 502)
    assert dict(failure.answer.headers)["content-type"] == "image/svg+xml"
    lane.finished(carried, 0)
    assert len(bench.recorder.kept) == 1


async def test_a_failure_that_cannot_be_recorded_or_shown_stays_closed() -> None:
    """The answer is the closed page, or at the very least a bare sentence (H1)."""
    bench, lane = encrypted()
    carried = lane.admit(bench.client, head())
    assert carried is not None
    bench.recorder.broken = RuntimeError("disk")
    failure = Failure(bench.client, head(), carried, "no route")
    await lane.lane_failed(failure)
    assert failure.answer.status == 503
    bench.site._pages = NoPages()  # type: ignore[assignment] # the fault that is tested
    failure = Failure(bench.client, head(), carried, "no route")
    with pytest.raises(asyncio.CancelledError):
        await lane.lane_failed(failure)
    assert failure.answer is CLOSED


def test_a_site_is_told_the_name_that_was_judged() -> None:
    """The usual port is not named, another one is (H32)."""
    assert named(parse_url("https://site.example/")) == "site.example"
    assert named(parse_url("http://site.example:443/")) == "site.example:443"
