"""Every refused attempt is one row: however it was made, and however it ended (F8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

import pytest
from mitmproxy import http

from appliance.filtering import REVIEW_PATH
from appliance.gateway.attempts import Attempts, Connection
from appliance.gateway.translate import Tunnel
from appliance.model.decision import Reason
from appliance.model.url import parse_host
from tests.doubles.addon import Bench, body, done, status
from tests.doubles.gateway import MemoryLists, MemoryRecorder

type Attempt = Callable[[Bench], Coroutine[Any, Any, None]]


async def ends(bench: Bench) -> None:
    """Let the client hang up, and what nobody waits for happen."""
    await bench.addon.client_disconnected(bench.client)
    await asyncio.sleep(0)


async def ask(bench: Bench, flow: http.HTTPFlow) -> http.HTTPFlow:
    """Send one request as far as its answer."""
    await done(bench.addon.requestheaders(flow))
    if flow.response is None:
        flow.request.raw_content = b""
        await done(bench.addon.request(flow))
    await done(bench.addon.response(flow))
    return flow


async def connect_and_hang_up(bench: Bench) -> None:
    await bench.addon.http_connect(bench.connect_flow("bets.example", 443))


async def connect_and_talk_nonsense(bench: Bench) -> None:
    await bench.addon.http_connect(bench.connect_flow("bets.example", 443))
    bench.addon.refused_head(bench.client, "no HTTP")


async def connect_and_hello(bench: Bench) -> None:
    await connect_and_hang_up(bench)
    bench.addon.tls_clienthello(bench.hello("bets.example", ("bets.example", 443)))


async def connect_and_hello_to_another(bench: Bench) -> None:
    await connect_and_hang_up(bench)
    bench.addon.tls_clienthello(bench.hello("school.example", ("bets.example", 443)))


async def hello_that_fails(bench: Bench) -> None:
    await connect_and_hello(bench)
    await bench.addon.tls_failed_client(bench.tls_data())


async def the_whole_way(bench: Bench) -> None:
    await connect_and_hello(bench)
    assert status(await ask(bench, bench.flow("https://bets.example/"))) == 403


async def another_host_in_the_tunnel(bench: Bench) -> None:
    await bench.addon.http_connect(bench.connect_flow("bets.example", 80))
    flow = await ask(bench, bench.flow("http://school.example/"))
    assert status(flow) == 403
    assert "bets.example" in body(flow)


async def get_on_the_review_path(bench: Bench) -> None:
    assert status(await ask(bench, bench.flow(f"http://bets.example{REVIEW_PATH}"))) == 403


async def forged_form(bench: Bench) -> None:
    await connect_and_hello(bench)
    flow = bench.flow(f"https://bets.example{REVIEW_PATH}", "POST", content_length="9")
    assert status(await ask(bench, flow)) == 403


async def too_long_form(bench: Bench) -> None:
    flow = bench.flow(f"http://bets.example{REVIEW_PATH}", "POST", content_length="999999")
    assert status(await ask(bench, flow)) == 403


@pytest.mark.slow
@pytest.mark.parametrize(
    "attempt",
    [
        connect_and_hang_up,
        connect_and_talk_nonsense,
        connect_and_hello,
        connect_and_hello_to_another,
        hello_that_fails,
        the_whole_way,
        another_host_in_the_tunnel,
        get_on_the_review_path,
        forged_form,
        too_long_form,
    ],
)
async def test_each_refused_attempt_is_one_row_that_names_the_site(attempt: Attempt) -> None:
    """Whatever a pupil tries on a blocked site, it is on record once, and under that site's name."""
    bench = Bench()
    await attempt(bench)
    await ends(bench)
    assert bench.reasons == ["unacceptable"]
    assert bench.recorder.kept[0].host == "bets.example"
    assert "bets.example" in (bench.recorder.kept[0].url or "")


async def test_the_form_of_a_page_that_was_shown_adds_no_row() -> None:
    """A child who says "this is a mistake" has not tried again."""
    bench = Bench()
    await the_whole_way(bench)
    await ends(bench)
    bench.client = bench.connect()
    await connect_and_hello(bench)
    reference = bench.recorder.kept[0].reference
    form = urlencode({"reference": reference, "token": bench.addon._site._token(reference)}).encode()
    flow = bench.flow(f"https://bets.example{REVIEW_PATH}", "POST", content_length=str(len(form)))
    await done(bench.addon.requestheaders(flow))
    flow.request.raw_content = form
    await done(bench.addon.request(flow))
    await ends(bench)
    assert status(flow) == 200
    assert (len(bench.recorder.kept), len(bench.recorder.reviews)) == (1, 1)


async def test_the_review_path_of_an_allowed_site_reaches_no_site() -> None:
    """The path is the gateway's own everywhere; what came there is on record as what it was."""
    bench = Bench()
    flow = await ask(bench, bench.flow(f"http://school.example{REVIEW_PATH}"))
    assert status(flow) == 405
    assert [(row.host, row.status) for row in bench.recorder.kept] == [("school.example", 405)]


async def test_encryption_within_encryption_is_refused_and_both_attempts_are_on_record() -> None:
    """A tunnel in the tunnel hides neither the name outside nor the attempt itself."""
    bench = Bench()
    await connect_and_hello(bench)
    inner = bench.hello("school.example", ("bets.example", 443))
    inner.establish_server_tls_first = True
    bench.addon.tls_clienthello(inner)
    assert inner.establish_server_tls_first is False
    flow = await ask(bench, bench.flow("https://school.example/"))
    assert status(flow) == 400
    await ends(bench)
    assert sorted(bench.reasons) == ["malformed", "unacceptable"]


async def test_our_own_pages_are_no_attempt() -> None:
    """Who looks up which group a device is in has tried nothing, also where unknown sites are closed."""
    bench = Bench(lists=MemoryLists(named={"filter.internal": MemoryLists().named["bets.example"]}))
    await bench.addon.http_connect(bench.connect_flow("filter.internal", 443))
    bench.addon.tls_clienthello(bench.hello("filter.internal", ("filter.internal", 443)))
    assert status(await ask(bench, bench.flow("https://filter.internal/"))) == 200
    await ends(bench)
    assert bench.reasons == []


# --- what our own faults closed ---


async def faulty_request(bench: Bench) -> None:
    flow = await ask(bench, bench.flow("http://school.example/a"))
    assert status(flow) == 503
    assert bench.recorder.kept[-1].reference in body(flow)


async def faulty_connect(bench: Bench) -> None:
    assert status(await ask_connect(bench)) == 503


async def ask_connect(bench: Bench) -> http.HTTPFlow:
    flow = bench.connect_flow("school.example", 443)
    await bench.addon.http_connect(flow)
    await asyncio.sleep(0)
    return flow


async def faulty_hello(bench: Bench) -> None:
    bench.addon.tls_clienthello(bench.hello("school.example", ("school.example", 443)))


async def faulty_hello_then_request(bench: Bench) -> None:
    await faulty_hello(bench)
    assert status(await ask(bench, bench.flow("https://school.example/"))) == 503


@pytest.mark.parametrize("attempt", [faulty_request, faulty_connect, faulty_hello, faulty_hello_then_request])
async def test_what_a_fault_closed_is_one_row(attempt: Attempt) -> None:
    """A closed page is on record as one, with its reason: a teacher can look it up (DFE-F8)."""
    bench = Bench(lists=MemoryLists(broken=RuntimeError("lists")))
    bench.addon.connections[bench.client.id].tunnel.connect = parse_host("school.example")
    await attempt(bench)
    await ends(bench)
    assert bench.reasons == ["fault"]
    assert bench.recorder.kept[0].host == "school.example"


async def test_an_answer_that_is_ended_by_a_fault_is_on_record_as_that() -> None:
    """An access that was cut is not told as one that went well."""
    bench = Bench()
    flow = bench.flow("http://school.example/")
    await done(bench.addon.requestheaders(flow))
    flow.response = http.Response.make(200)
    flow.live = True
    bench.addon.close("responseheaders", flow, Reason.DEADLINE)
    await bench.addon.error(flow)
    await asyncio.sleep(0)
    assert bench.reasons == ["deadline"]


async def test_a_record_that_is_on_its_way_is_not_written_twice() -> None:
    """A page that gave up waiting for the disk is one row: the disk's own."""

    class Slow(MemoryRecorder):
        async def record(self, access: Any) -> None:
            self.kept.append(access)
            await asyncio.sleep(60)

    bench = Bench(recorder=Slow(), deadline=0.02)
    assert status(await ask(bench, bench.flow("http://bets.example/"))) == 503
    await asyncio.sleep(0)
    assert bench.reasons == ["unacceptable"]


async def test_a_connection_that_crashed_is_on_record_under_its_name() -> None:
    """What mitmproxy stumbled over can be looked up."""
    bench = Bench()
    await bench.addon.http_connect(bench.connect_flow("school.example", 443))
    bench.addon.crashed(bench.client, "ZeroDivisionError")
    await ends(bench)
    assert [(row.decision.reason, row.host) for row in bench.recorder.kept] == [
        (Reason.FAULT, "school.example")
    ]


# --- the parts ---


async def test_a_record_that_failed_counts_as_none() -> None:
    """Whoever closes afterwards knows that there is no row yet."""
    told: list[str] = []
    recorder = MemoryRecorder(broken=OSError("disk"))
    attempts = Attempts(recorder, lambda stage, _reason, _error: told.append(stage))
    known = Connection(Tunnel("10.20.0.5", sni=parse_host("bets.example"), encrypted=True))
    request = known.request()
    assert (request.method, request.url.host) == ("TLS", "bets.example")
    known.refused(request, Bench().filtering.judge(request))
    pending = known.take_pending()
    assert pending is not None
    assert known.take_pending() is None
    with pytest.raises(OSError, match="disk"):
        await attempts.record(pending, 0)
    with pytest.raises(OSError, match="disk"):
        attempts.note(pending, 0)
    assert pending.recorded is False
    with pytest.raises(OSError, match="disk"):
        await attempts.soon("connection", pending)
    with pytest.raises(OSError, match="disk"):
        await attempts.soon("", pending)
    await asyncio.sleep(0)
    assert told == ["connection"]
