from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from mitmproxy import http

from appliance.gateway import actions
from appliance.gateway.closing import CARRIED
from appliance.gateway.credentials import Credentials
from appliance.identity.networks import ProxySignIn
from appliance.identity.signing_in import RefusedError
from appliance.model.decision import Reason
from appliance.model.person import Confidence, Person, Standing
from appliance.model.secret import Secret
from tests.doubles.addon import Bench, done, status
from tests.doubles.gateway import OnePerson

SITE = "http://site.example/"


class ByCredentials(OnePerson):
    """Whoever shows credentials is that person; all others have not signed in."""

    def resolve(self, address: str, user: str = "") -> Person:
        del address
        if user:
            return Person("ks2", "own sign-in, proxy credentials", Confidence.CERTAIN, user)
        return Person("ks2", "network Room", standing=Standing.SIGNED_OUT)


def check(name: str, password: Secret, _address: str) -> str:
    if password != Secret("right"):
        raise RefusedError("no")
    return name


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(identity=ByCredentials())
    made.addon.credentials = Credentials(
        check, lambda _name: "hash", lambda _address: ProxySignIn.REQUIRED, plain=True
    )
    yield made
    made.addon.credentials.close()


def shows(flow: http.HTTPFlow, *pairs: str) -> http.HTTPFlow:
    coded = ["Basic " + base64.b64encode(pair.encode()).decode() for pair in pairs]
    flow.request.headers.set_all("proxy-authorization", coded)
    return flow


async def asked(bench: Bench, *pairs: str, url: str = SITE) -> http.HTTPFlow:
    flow = shows(bench.flow(url), *pairs)
    await done(bench.addon.requestheaders(flow))
    return flow


async def test_whoever_is_not_known_is_asked_and_on_record(bench: Bench) -> None:
    """407 says how, the log says that somebody asked; help lines need no name (A10)."""
    flow = await asked(bench)
    assert status(flow) == 407
    assert flow.response is not None
    assert "proxy-authenticate" in flow.response.headers
    assert status(await asked(bench, "amy:wrong", url="http://childline.example/")) == 0
    assert [(row.status, row.decision.reason) for row in bench.recorder.kept] == [(407, Reason.SIGNED_OUT)]


async def test_credentials_open_the_web_and_go_to_no_site(bench: Bench) -> None:
    """The request is theirs, by name and for certain; the header stays here (RFC 9110 11.7)."""
    flow = await asked(bench, "amy:right")
    assert status(flow) == 0
    assert "proxy-authorization" not in flow.request.headers
    carried = flow.metadata[CARRIED]
    assert (carried.judgement.person.name, carried.request.user) == ("amy", "amy")
    assert carried.judgement.person.confidence is Confidence.CERTAIN


async def test_one_connection_can_be_two_people_one_after_the_other(bench: Bench) -> None:
    """Each request counts by what it shows: not by the one before, and by nobody's where it shows none."""
    people = [
        flow.metadata[CARRIED].judgement.person.name
        for pairs in (("amy:right",), ("bob:right",), (), ("amy:wrong",), ("amy:right", "bob:right"))
        for flow in [await asked(bench, *pairs)]
    ]
    assert people == ["amy", "bob", "", "", ""]


async def test_a_tunnel_that_is_refused_can_be_asked_for_again(bench: Bench) -> None:
    """After 407 the browser shows who it is on the same connection, and then everything inside is theirs."""
    flow = bench.connect_flow("site.example", 443)
    await bench.addon.http_connect(flow)
    assert status(flow) == 407
    flow = shows(bench.connect_flow("site.example", 443), "amy:right")
    await bench.addon.http_connect(flow)
    assert status(flow) == 0
    bench.addon.tls_clienthello(bench.hello("site.example", ("site.example", 443)))
    inside = await asked(bench, "bob:right", url="https://site.example/")
    carried = inside.metadata[CARRIED]
    assert (carried.request.user, carried.judgement.person.name) == ("amy", "amy")
    assert "proxy-authorization" not in inside.request.headers


async def test_a_fault_in_the_comparison_opens_nothing(bench: Bench) -> None:
    """Fail closed: whatever fails, the request is nobody's, and the browser is not told to forget."""

    def broken(_name: str, _word: Secret, _address: str) -> str:
        raise OSError("the disk")

    bench.addon.credentials.close()
    bench.addon.credentials = Credentials(
        broken, lambda _name: "hash", lambda _address: ProxySignIn.REQUIRED, plain=True
    )
    flow = await asked(bench, "amy:right")
    assert status(flow) in (511, 302)
    await asyncio.sleep(0)


def test_a_site_cannot_ask_for_the_proxys_password() -> None:
    """A site that answers 407 for us would have browsers send it what was meant for the proxy."""
    bench = Bench()
    flow = bench.flow(SITE)
    flow.response = http.Response.make(407, b"", {"proxy-authenticate": "Basic", "x": "y"})
    request = bench.addon.connections[bench.client.id].request()
    actions.pass_back(flow, actions.Carried(request, bench.filtering.judge(request), ""))
    assert list(flow.response.headers) == ["x", "content-length"]
