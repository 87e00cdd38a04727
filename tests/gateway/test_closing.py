from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.test import tflow

from appliance.gateway.closing import CARRIED
from appliance.model.decision import Action, Reason
from tests.doubles.addon import Bench, NoPages, body, done, status
from tests.doubles.gateway import MemoryLists, MemoryMetrics, MemoryRecorder, OnePerson


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def ask(bench: Bench, flow: http.HTTPFlow) -> http.HTTPFlow:
    await done(bench.addon.requestheaders(flow))
    return flow


async def broken_request(bench: Bench) -> None:
    flow = await ask(bench, bench.flow("http://school.example/"))
    assert status(flow) == 503
    assert flow.request.stream is True


async def broken_connect(bench: Bench) -> None:
    flow = bench.connect_flow("school.example", 443)
    await bench.addon.http_connect(flow)
    assert status(flow) == 503


async def broken_hello(bench: Bench) -> None:
    bench.addon.connections[bench.client.id].tunnel.port = 443
    hello = bench.hello("school.example")
    hello.establish_server_tls_first = True
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is False
    bench.lists.broken = None
    assert status(await ask(bench, bench.flow("https://school.example/"))) == 503


@pytest.mark.parametrize("hook", [broken_request, broken_connect, broken_hello])
async def test_a_judgement_that_fails_closes(
    hook: Callable[[Bench], asyncio.Future[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with lists or policy, an allowed site is closed and never passed unjudged (H1)."""
    bench = Bench(lists=MemoryLists(broken=RuntimeError("https://secret.example/path")))
    await hook(bench)
    assert bench.metrics.faults[0][0] is Reason.FAULT
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_client_that_cannot_be_remembered_is_turned_away() -> None:
    """A fault at the first hook already closes the connection."""
    bench = Bench(metrics=MemoryMetrics())
    client = bench.client
    client.proxy_mode = None  # type: ignore[assignment]  # makes the hook fail
    bench.addon.client_connected(client)
    assert client.error == "closed: fault"


def test_a_connection_that_cannot_be_judged_is_not_opened(bench: Bench) -> None:
    """A fault in the last check before connecting leaves the site uncontacted."""
    towards = bench.towards("site.example", 443)
    bench.addon.connections.clear()
    bench.addon.server_connect(towards)
    assert towards.server.error == "closed: fault"


async def test_an_answer_that_cannot_be_counted_is_ended(bench: Bench) -> None:
    """A fault at an answer's headers ends the answer."""
    flow = await ask(bench, bench.flow())
    flow.response = http.Response.make(200)
    flow.live = True
    flow.metadata[CARRIED] = "junk"
    await done(bench.addon.responseheaders(flow))
    assert flow.error is not None
    assert flow.error.msg == mitmflow.Error.KILLED_MESSAGE


async def test_a_socket_whose_message_cannot_be_handled_is_cut(bench: Bench) -> None:
    """A fault in a socket's message lets neither that message nor a later one through (H10)."""
    flow = tflow.twebsocketflow()
    flow.client_conn = bench.client
    cuts: list[bool] = []

    class Line:
        def cut(self) -> None:
            cuts.append(True)

    bench.addon._doors = type("D", (), {"handler_of": lambda _self, _client: Line()})()
    bench.addon.close("websocket_message", flow, Reason.FAULT)
    assert flow.websocket is not None
    assert all(message.dropped for message in flow.websocket.messages)
    assert cuts == [True]


async def test_a_page_that_cannot_be_drawn_still_closes() -> None:
    """When even the page fails, a bare answer says that it stays closed (H1)."""
    bench = Bench(pages=NoPages())
    flow = await ask(bench, bench.flow("http://bets.example/"))
    assert status(flow) == 503
    assert "stays closed" in body(flow)


async def test_a_fault_in_who_asks_still_closes() -> None:
    """Without knowing the person, no page can be chosen, and nothing passes either."""
    bench = Bench(identity=OnePerson(broken=RuntimeError("identity")))
    flow = await ask(bench, bench.flow("http://school.example/"))
    assert status(flow) == 503


async def test_a_log_that_hangs_closes_at_the_deadline() -> None:
    """A disk that does not answer ends in the deadline's own page, not in an endless wait."""

    class Hanging(MemoryRecorder):
        async def record(self, access: object) -> None:
            del access
            await asyncio.sleep(60)

    bench = Bench(recorder=Hanging(), deadline=0.02)
    flow = await ask(bench, bench.flow("http://bets.example/"))
    assert status(flow) == 503
    assert bench.metrics.faults == [(Reason.DEADLINE, "requestheaders")]


async def test_a_counter_that_fails_hides_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """Broken metrics neither open nothing nor raise into mitmproxy."""
    bench = Bench(lists=MemoryLists(broken=RuntimeError()), metrics=MemoryMetrics(broken=RuntimeError()))
    assert status(await ask(bench, bench.flow("http://school.example/"))) == 503
    assert caplog.records == [] or caplog.records[0].levelno == logging.ERROR


async def test_faults_keep_their_reason_on_later_requests(bench: Bench) -> None:
    """A connection whose ClientHello could not be judged stays closed, and each attempt is on record."""
    bench.addon.close("tls_clienthello", bench.hello("school.example"), Reason.DEADLINE)
    flow = await ask(bench, bench.flow("http://school.example/"))
    assert status(flow) == 503
    assert bench.reasons == ["deadline"]
    assert bench.recorder.kept[0].decision.action is Action.BLOCK


async def test_a_hello_of_an_unknown_connection_closes_without_failing(bench: Bench) -> None:
    """Closing itself never fails for want of a connection; the next request then closes as well."""
    bench.addon.connections.clear()
    hello = bench.hello("school.example")
    bench.addon.tls_clienthello(hello)
    assert hello.establish_server_tls_first is False
    assert status(await ask(bench, bench.flow("https://school.example/"))) == 503
