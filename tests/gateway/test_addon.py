from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.test import tflow

from appliance.gateway.heads import INVALID
from appliance.model.decision import Reason
from tests.doubles.addon import Bench, body, done, status
from tests.doubles.gateway import MemoryRecorder


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def ask(bench: Bench, flow: http.HTTPFlow) -> http.HTTPFlow:
    await done(bench.addon.requestheaders(flow))
    return flow


async def tunnel(bench: Bench, host: str = "site.example", sni: str | None = None) -> None:
    """Open an encrypted tunnel, as far as the addon hears of it."""
    await bench.addon.http_connect(bench.connect_flow(host, 443))
    bench.addon.tls_clienthello(bench.hello(sni or host, (host, 443)))


# --- requests ---


def test_an_ordinary_request_waits_for_nobody(bench: Bench) -> None:
    """What needs no place on the disk first needs no task either, and costs a lesson no time."""
    flow = bench.flow("http://site.example/a", user_agent="x")
    assert bench.addon.requestheaders(flow) is None
    assert bench.addon.request(flow) is None
    flow.response = http.Response.make(200)
    assert bench.addon.responseheaders(flow) is None
    assert bench.addon.response(flow) is None
    assert [kept.status for kept in bench.recorder.kept] == [200]


@pytest.mark.slow
async def test_an_allowed_request_goes_to_its_site_and_is_recorded_when_it_is_over(bench: Bench) -> None:
    """A lesson goes on undisturbed, and the record says what became of it."""
    flow = await ask(bench, bench.flow("http://site.example/a", user_agent="x"))
    assert status(flow) == 0
    assert bench.recorder.kept == []
    towards = bench.towards("site.example", 80)
    bench.addon.server_connect(towards)
    assert towards.server.error is None
    flow.response = http.Response.make(200, b"", {"alt-svc": "h3"})
    await done(bench.addon.responseheaders(flow))
    assert callable(flow.response.stream)
    flow.response.stream(b"12345")
    await done(bench.addon.response(flow))
    await done(bench.addon.response(flow))
    (kept,) = bench.recorder.kept
    assert (kept.url, kept.status, kept.bytes_received, kept.client) == (
        "http://site.example/a",
        200,
        5,
        "10.20.0.5",
    )
    assert len(bench.metrics.decisions) == len(bench.metrics.latencies) == bench.metrics.connections == 1


async def test_a_blocked_request_is_recorded_and_answered_and_never_connects(bench: Bench) -> None:
    """The page is there, the event is on record first, and the site hears nothing."""
    flow = await ask(bench, bench.flow("http://bets.example/"))
    assert status(flow) == 403
    assert "Westways" in body(flow)
    (kept,) = bench.recorder.kept
    assert (kept.status, kept.decision.reason) == (403, Reason.UNACCEPTABLE)
    assert kept.reference in body(flow)
    towards = bench.towards("bets.example", 80)
    bench.addon.server_connect(towards)
    assert towards.server.error
    await done(bench.addon.response(flow))
    await bench.addon.error(flow)
    await done(bench.addon.responseheaders(flow))
    assert len(bench.recorder.kept) == 1


async def test_a_watched_request_is_recorded_before_the_site_hears_of_it(bench: Bench) -> None:
    """What a profile watches is on record even if the machine dies in the next moment (S-40)."""
    flow = await ask(bench, bench.flow("http://forum.example/"))
    assert bench.reasons == ["acceptable"]
    flow.response = http.Response.make(200)
    await done(bench.addon.response(flow))
    assert bench.reasons == ["acceptable"]


@pytest.mark.parametrize("host", ["bets.example", "forum.example"])
async def test_what_cannot_be_recorded_does_not_happen(host: str) -> None:
    """A flagged request whose event cannot be kept is answered with the closed page, and counted (S-40)."""
    bench = Bench(recorder=MemoryRecorder(broken=OSError("disk full")))
    flow = await ask(bench, bench.flow(f"http://{host}/"))
    assert status(flow) == 503
    assert bench.metrics.faults == [(Reason.FAULT, "requestheaders")]


async def test_headers_that_contradict_each_other_are_refused(bench: Bench) -> None:
    """What mitmproxy takes for smuggling is answered by our page and recorded (H31)."""
    flow = bench.flow()
    flow.metadata[INVALID] = "TE and CL"
    assert status(await ask(bench, flow)) == 400
    assert bench.reasons == ["malformed"]


async def test_the_gateway_s_own_pages_are_served_at_the_headers(bench: Bench) -> None:
    """The notice page needs no site, and is no access to one."""
    flow = await ask(bench, bench.flow("http://filter.internal/"))
    assert status(flow) == 200
    assert bench.recorder.kept == []
    review = await ask(
        bench, bench.flow("http://x.example/.well-known/school-gateway/review", "POST", content_length="3")
    )
    assert status(review) == 0
    review.request.raw_content = b"a=b"
    await done(bench.addon.request(review))
    assert status(review) == 400


async def test_a_domain_front_is_refused(bench: Bench) -> None:
    """An allowed SNI with a blocked Host is a mismatch, and reaches neither (H25)."""
    await tunnel(bench)
    flow = await ask(bench, bench.flow("https://bets.example/"))
    assert status(flow) == 421
    assert bench.reasons == ["mismatch"]


# --- tunnels and their names ---


async def test_a_blocked_site_gets_its_tunnel_so_that_a_page_can_be_shown(bench: Bench) -> None:
    """A browser shows no page in answer to CONNECT, so the block comes inside, and nothing is contacted."""
    connect = bench.connect_flow("bets.example", 443)
    await bench.addon.http_connect(connect)
    assert status(connect) == 0
    hello = bench.hello("bets.example", ("bets.example", 443))
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is False
    assert bench.recorder.kept == []
    assert status(await ask(bench, bench.flow("https://bets.example/"))) == 403
    assert bench.reasons == ["unacceptable"]


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("site.example", 25, "port"),
        ("printer.example", 443, "own_network"),
        ("a b", 443, "malformed"),
        ("\udcff", 443, "malformed"),
        ("", 443, "malformed"),
    ],
)
async def test_a_tunnel_to_where_no_page_can_be_shown_is_refused(
    bench: Bench, host: str, port: int, reason: str
) -> None:
    """Mail servers, printers and junk get no tunnel at all, and the attempt is on record (H26, H27)."""
    connect = bench.connect_flow(host, port)
    await bench.addon.http_connect(connect)
    assert status(connect) >= 400
    assert bench.reasons == [reason]


async def test_a_tunnel_whose_head_contradicts_itself_is_refused(bench: Bench) -> None:
    """A CONNECT that mitmproxy's checks refuse opens nothing."""
    connect = bench.connect_flow("site.example", 443)
    connect.metadata[INVALID] = "mode"
    await bench.addon.http_connect(connect)
    assert status(connect) == 400


@pytest.mark.parametrize("transparent", [False, True])
async def test_an_allowed_site_is_contacted_under_the_name_that_was_judged(*, transparent: bool) -> None:
    """Certificate and errors of an allowed site show at once; the client's own address is not used (H13)."""
    bench = Bench(transparent=transparent)
    hello = bench.hello("site.example", ("198.51.100.7", 443))
    if not transparent:
        await bench.addon.http_connect(bench.connect_flow("site.example", 443))
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is True
    assert hello.context.server.address == ("site.example", 443)
    assert hello.context.server.sni == "site.example"
    towards = bench.towards("site.example", 443)
    bench.addon.server_connect(towards)
    assert towards.server.error is None


@pytest.mark.parametrize(
    ("sni", "connect"),
    [
        ("bets.example", "site.example"),
        ("site.example", "bets.example"),
        (None, "bets.example"),
        ("a b", "site.example"),
    ],
)
async def test_any_blocked_or_unreadable_name_keeps_the_site_uncontacted(
    bench: Bench, sni: str | None, connect: str
) -> None:
    """SNI and CONNECT target are judged together before anything is contacted (H11, H13)."""
    await bench.addon.http_connect(bench.connect_flow(connect, 443))
    hello = bench.hello(sni, (connect, 443))
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is False
    towards = bench.towards(connect, 443)
    bench.addon.server_connect(towards)
    assert towards.server.error


def test_a_redirected_connection_without_a_name_is_judged_by_its_address() -> None:
    """Leaving out the SNI is no way round the filter: a bare address is judged as one."""
    bench = Bench(transparent=True)
    hello = bench.hello(None)
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is False


def test_encryption_to_the_proxy_itself_is_not_judged(bench: Bench) -> None:
    """A browser may speak TLS to the proxy; its requests come inside, and are judged there."""
    hello = bench.hello("proxy.school.example", None)
    bench.addon.tls_clienthello(hello)
    assert bench.metrics.decisions == []


async def ends_badly(bench: Bench) -> None:
    await bench.addon.tls_failed_client(bench.tls_data())
    await bench.addon.client_disconnected(bench.client)


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        ("The client does not trust the proxy's certificate for x (unknown ca)", "distrusted"),
        ("The client may not trust the proxy's certificate for x (odd)", "distrusted"),
        ("The client disconnected during the handshake. If this happens consistently", "left"),
        ("Client and mitmproxy cannot agree on a TLS version to use.", "other"),
        (None, "other"),
    ],
)
async def test_clients_that_would_not_have_our_certificate_are_counted(
    bench: Bench, why: str | None, kind: str
) -> None:
    """A technician sees that devices distrust the school's CA before somebody calls."""
    await tunnel(bench, "site.example")
    data = bench.tls_data()
    data.conn.error = why
    await bench.addon.tls_failed_client(data)
    assert bench.metrics.handshakes == [kind]


async def just_leaves(bench: Bench) -> None:
    await bench.addon.client_disconnected(bench.client)


@pytest.mark.parametrize("ending", [ends_badly, just_leaves])
async def test_an_attempt_that_saw_no_page_is_recorded_once(
    bench: Bench, ending: Callable[[Bench], asyncio.Future[None]]
) -> None:
    """A device that distrusts our certificate sees no page, but the attempt is on record all the same."""
    await tunnel(bench, "bets.example")
    await ending(bench)
    assert bench.reasons == ["unacceptable"]
    assert bench.recorder.kept[0].method == "TLS"


async def test_what_ended_well_is_not_recorded_twice(bench: Bench) -> None:
    """A blocked page that was shown is one event, also when its connection ends."""
    await tunnel(bench, "bets.example")
    await ask(bench, bench.flow("https://bets.example/"))
    await ends_badly(bench)
    assert bench.reasons == ["unacceptable"]


# --- towards the site ---


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 443), ("::1", 443), ("192.168.1.1", 443), ("other.example", 443)]
)
def test_nothing_unjudged_and_nothing_inside_is_contacted(bench: Bench, address: tuple[str, int]) -> None:
    """The worker is no way to itself, whatever mitmproxy would like to connect to (H27)."""
    bench.addon.connections[bench.client.id].permitted.add(("127.0.0.1", 443))
    towards = bench.towards(*address)
    bench.addon.server_connect(towards)
    assert towards.server.error


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        ("Certificate verify failed: self-signed certificate", "upstream_certificate", 502),
        ("Connection refused", "upstream_unreachable", 502),
        ("'x' leads only to internal addresses", "own_network", 403),
    ],
)
async def test_a_site_that_failed_at_the_handshake_is_not_tried_again(
    bench: Bench, error: str, reason: str, code: int
) -> None:
    """A forged certificate leads to our own page, and never to a second, laxer attempt (H16)."""
    await tunnel(bench)
    flow = bench.flow("https://site.example/")
    flow.server_conn.error = error
    assert status(await ask(bench, flow)) == code
    assert bench.reasons == [reason]


async def test_a_site_that_fails_later_gets_our_page_too(bench: Bench) -> None:
    """Errors of the site are answered in our words, and recorded once (H16)."""
    flow = await ask(bench, bench.flow())
    flow.error = mitmflow.Error("Connection killed: internal address")
    await bench.addon.error(flow)
    assert status(flow) == 403
    await done(bench.addon.response(flow))
    assert bench.reasons == ["own_network"]


async def test_a_client_that_leaves_is_recorded_without_a_page(bench: Bench) -> None:
    """An access that the pupil broke off is on record with what had passed."""
    flow = await ask(bench, bench.flow())
    flow.error = mitmflow.Error("Client disconnected.")
    flow.response = http.Response.make(200)
    await bench.addon.error(flow)
    assert [access.status for access in bench.recorder.kept] == [200]


async def test_socket_messages_are_not_kept(bench: Bench) -> None:
    """A chat that stays open all day needs no more memory in the evening (H7)."""
    flow = tflow.twebsocketflow()
    flow.client_conn = bench.client
    assert flow.websocket is not None
    assert flow.websocket.messages
    bench.addon.websocket_message(flow)
    assert flow.websocket.messages == []


# --- what the doors tell ---


async def test_a_head_that_never_became_readable_is_on_record(bench: Bench) -> None:
    """Junk on the proxy's port is counted and logged under its address, as what it is."""
    bench.addon.refused_head(bench.client, "This request is not valid HTTP.")
    await asyncio.sleep(0)
    (kept,) = bench.recorder.kept
    assert (kept.decision.reason, kept.client, kept.status) == (Reason.MALFORMED, "10.20.0.5", 400)
    assert bench.metrics.unfinished == 1


async def test_a_record_of_junk_that_fails_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A failing log is noticed even where nobody waits for it."""
    bench = Bench(recorder=MemoryRecorder(broken=OSError("disk full")))
    bench.addon.refused_head(bench.client, "This request is not valid HTTP.")
    await asyncio.sleep(0.01)
    assert bench.metrics.faults == [(Reason.FAULT, "refused_head")]
    assert "OSError" in caplog.text


def test_a_crash_is_counted_by_its_kind_alone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The log never holds the body that made a connection crash (H30)."""
    bench.addon.crashed(bench.client, "ZeroDivisionError")
    assert bench.metrics.faults == [(Reason.FAULT, "connection")]
    assert "ZeroDivisionError" in caplog.text


async def test_a_client_that_is_gone_before_it_was_seen_is_no_fault(bench: Bench) -> None:
    """A connection reset at the door makes no noise."""
    client = Client(
        peername=None,  # type: ignore[arg-type]  # what a closed socket says
        sockname=("10.20.0.1", 8080),
        timestamp_start=0.0,
        proxy_mode=bench.client.proxy_mode,
    )
    bench.addon.client_connected(client)
    await bench.addon.client_disconnected(client)
    assert bench.metrics.faults == []
    assert client.error is None
