from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import pytest
from mitmproxy.proxy.layers import http

from appliance.gateway.answers import CLOSED
from appliance.gateway.credentials import Credentials
from appliance.gateway.lane_heads import RequestHead, read_request
from appliance.gateway.lane_judge import Failure, Lane
from appliance.gateway.translate import host_of
from appliance.identity.networks import ProxySignIn
from appliance.model.decision import Reason
from appliance.model.inspect import Inspect, SiteRule, Sites
from appliance.model.known import Known
from appliance.model.url import Url
from tests.doubles.addon import Bench, NoPages
from tests.doubles.gateway import MemoryLists


def head(host: str = "site.example", path: str = "/", more: str = "", asked: str = "") -> RequestHead:
    found = read_request(f"GET {asked}{path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
    assert found is not None
    return found


def encrypted(sni: str = "site.example", **bench: Any) -> tuple[Bench, Lane]:
    """Return a connection whose client has named `sni` in its encryption, in a tunnel."""
    made = Bench(lean=True, **bench)
    known = made.addon.connections.get(made.client.id)
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
    assert set(bench.lists.asked) == {"site.example"}
    bench.lists.asked.clear()
    assert lane.admit(bench.client, head(path="/c")) is not None
    assert set(bench.lists.asked) == {"site.example"}
    assert len(bench.metrics.decisions) == len(bench.metrics.latencies) == 2
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
        known = each.addon.connections.get(each.client.id)
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
    context.layers.append(http.HttpLayer(context, http.HTTPMode.transparent))
    assert not other.takes(context)
    context.layers.clear()
    context.client.alpn = b"h2"
    assert not other.takes(context)


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
    await lane.lane_failed(failure)
    assert failure.answer is CLOSED


async def test_a_closed_failure_is_on_record_once() -> None:
    """A fault is recorded as one, unless the record of the failure is on its way already."""
    bench, lane = encrypted()
    carried = lane.admit(bench.client, head())
    assert carried is not None
    pages, bench.site._pages = bench.site._pages, cast("Any", NoPages())
    await lane.lane_failed(Failure(bench.client, head(), carried, "no route"))
    bench.site._pages = pages
    assert [row.decision.reason for row in bench.recorder.kept] == [Reason.FAULT]
    failure = Failure(bench.client, head(), carried, "no route")
    await lane.lane_failed(failure)
    assert lane.close("lane_failed", failure, Reason.DEADLINE) is None
    assert failure.answer.status == 502


def test_a_form_that_may_hold_search_words_is_the_full_lane_s() -> None:
    """It is read as it passes there; a search in the address needs no such reading (S-40)."""
    bench, lane = encrypted("duckduckgo.com")
    form, address = head("duckduckgo.com"), head("duckduckgo.com", path="/?q=owls")
    form.method = "POST"
    assert lane.admit(bench.client, form) is None
    assert lane.admit(bench.client, address) is not None


def test_a_site_whose_pages_are_read_is_the_full_lane_s() -> None:
    """The lean lane looks at addresses; where a rule reads what pages say, it is not enough."""
    bench, lane = encrypted()
    policy = bench.filtering.policy
    for level, taken in ((Inspect.CONTENT, False), (Inspect.ADDRESSES, True)):
        rule = SiteRule("site.example", level, "because", "here")
        sets = {
            name: replace(each, sites=Sites({"site.example": rule})) for name, each in policy.sets.items()
        }
        bench.filtering.use(replace(policy, sets=sets))
        assert (lane.admit(bench.client, head(path="/x?y")) is not None) is taken


@pytest.mark.parametrize(
    ("http2", "offers", "first"),
    [
        (True, (b"h2", b"http/1.1"), True),
        (True, (b"http/1.1",), False),
        (False, (b"h2", b"http/1.1"), False),
        (False, (b"h2",), True),
    ],
)
def test_the_site_is_contacted_first_where_http2_may_come_of_it(
    http2: bool, offers: tuple[bytes, ...], first: bool
) -> None:
    """Only there does it matter what the site speaks; the lean lane has connections of its own."""
    bench = Bench(lean=True, http2=http2, transparent=True)
    hello = bench.hello("site.example", ("198.51.100.7", 443), *offers)
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is first


def test_encryption_within_encryption_is_not_carried() -> None:
    """What was opened twice is refused by the full lane, whatever the request says."""
    bench, lane = encrypted()
    bench.addon.connections[bench.client.id].tunnel.layered = True
    assert lane.admit(bench.client, head()) is None


async def test_each_request_counts_by_the_credentials_it_shows() -> None:
    """Known ones are carried as theirs, unknown and wrong ones are the full lane's, which can wait."""
    bench = Bench(lean=True)
    bench.addon.credentials = Credentials(
        lambda name, _word, _at: name, lambda _name: "hash", lambda _at: ProxySignIn.OFFERED, plain=True
    )
    lane, tunnel = bench.lane(cast("Any", None)), bench.addon.connections[bench.client.id].tunnel
    shows, asked = "Proxy-Authorization: Basic YW15Ong=\r\n", "http://site.example"
    assert lane.admit(bench.client, head(asked=asked, more=shows)) is None
    await bench.addon.credentials.learn(["Basic YW15Ong="], tunnel)
    carried = lane.admit(bench.client, head(asked=asked, more=shows))
    assert carried is not None
    assert carried.request.user == "amy"
    carried = lane.admit(bench.client, head(asked=asked))
    assert carried is not None
    assert carried.request.user == ""
    assert lane.admit(bench.client, head(asked=asked, more=shows + shows)) is None
    bench.addon.credentials.close()
