"""The gateway's addon over doubles, and what mitmproxy would hand to its hooks."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mitmproxy import http, tls
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.options import Options
from mitmproxy.proxy import server_hooks
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow

from appliance.filtering import Filtering
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.door import Doors
from appliance.gateway.handshakes import Handshakes
from appliance.gateway.lane_judge import Lane
from appliance.gateway.reach import Reach
from appliance.gateway.site import OwnSite
from appliance.learning import Learnt
from tests.doubles.gateway import (
    Inside,
    MemoryLists,
    MemoryMetrics,
    MemoryRecorder,
    OnePerson,
    filtering,
)
from tests.doubles.pages import pages

DESTINATION = ("198.51.100.7", 443)


async def done(waiting: Awaitable[None] | None) -> None:
    """Wait for what a hook has left to be awaited, as mitmproxy would."""
    if waiting is not None:
        await waiting


class NoPages:
    """Pages that cannot be rendered."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no page: {name}")


@dataclass
class Bench:
    """An addon with its ports in view, and one client connection to try it with."""

    transparent: bool = False
    pages: Any = field(default_factory=pages)
    lists: MemoryLists = field(default_factory=MemoryLists)
    identity: OnePerson = field(default_factory=OnePerson)
    inside: Inside = field(default_factory=Inside)
    recorder: MemoryRecorder = field(default_factory=MemoryRecorder)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    reach: Reach = field(default_factory=Reach)
    doors: Doors = field(default_factory=Doors)
    deadline: float = 5.0
    handshakes: Handshakes = field(default_factory=lambda: Handshakes(None))
    lean: bool = False
    http2: bool = True
    learnt: Learnt | None = None

    def __post_init__(self) -> None:
        self.filtering: Filtering = filtering(self.lists, self.identity, self.inside, learnt=self.learnt)
        self.site = OwnSite(
            pages=self.pages,
            filtering=self.filtering,
            reviews=self.recorder,
            school="Westways",
            own_name="filter.internal",
            ca_pem=b"ca",
            review_key=b"key",
        )
        self.addon = GatewayAddon(
            filtering=self.filtering,
            recorder=self.recorder,
            metrics=self.metrics,
            site=self.site,
            reach=self.reach,
            doors=self.doors,
            deadline=self.deadline,
            handshakes=self.handshakes,
            lean=self.lean,
            http2=self.http2,
        )
        self.client = self.connect()

    def lane(self, pool: Any) -> Lane:
        """Return the lean lane beside the addon, over a pool of connections."""
        return Lane(
            addon=self.addon,
            filtering=self.filtering,
            metrics=self.metrics,
            site=self.site,
            doors=self.doors,
            pool=pool,
        )

    def connect(self, address: str = "::ffff:10.20.0.5") -> Client:
        """Return a client that has just connected."""
        mode = "schooltransparent@8443" if self.transparent else "schoolexplicit@8080"
        client = Client(
            peername=(address, 50_000),
            sockname=DESTINATION if self.transparent else ("10.20.0.1", 8080),
            timestamp_start=0.0,
            proxy_mode=ProxyMode.parse(mode),
            state=ConnectionState.OPEN,
        )
        self.addon.client_connected(client)
        return client

    def flow(self, url: str = "http://site.example/", method: str = "GET", **headers: str) -> http.HTTPFlow:
        """Return one request of the client, as mitmproxy has read it."""
        flow = tflow.tflow(client_conn=self.client, server_conn=Server(address=None))
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        flow.request = http.Request.make(method, url, b"", named)
        flow.request.headers.setdefault("host", flow.request.host_header or flow.request.host)
        return flow

    def connect_flow(self, host: str, port: int) -> http.HTTPFlow:
        """Return a CONNECT request of the client."""
        flow = self.flow()
        flow.request.method = "CONNECT"
        flow.request.data.host, flow.request.data.port = host, port
        return flow

    def hello(
        self, sni: str | None, address: tuple[str, int] | None = DESTINATION, *offers: bytes
    ) -> tls.ClientHelloData:
        """Return the ClientHello of the client."""
        context = Context(self.client, Options())
        context.server = Server(address=address)
        told: Any = SimpleNamespace(sni=sni, alpn_protocols=offers)  # no more is read
        return tls.ClientHelloData(context, told)

    def tls_data(self) -> tls.TlsData:
        """Return what mitmproxy tells of a handshake that the client broke off."""
        return tls.TlsData(self.client, Context(self.client, Options()))

    def towards(self, *address: Any) -> server_hooks.ServerConnectionHookData:
        """Return what mitmproxy asks before it connects to a site."""
        return server_hooks.ServerConnectionHookData(Server(address=address or None), self.client)

    @property
    def reasons(self) -> list[str]:
        """The reasons in the record, in order."""
        return [access.decision.reason.value for access in self.recorder.kept]


def status(flow: http.HTTPFlow) -> int:
    """Return the status of the answer, or 0 where there is none."""
    return flow.response.status_code if flow.response is not None else 0


def body(flow: http.HTTPFlow) -> str:
    """Return the body of the answer."""
    return (flow.response.raw_content or b"").decode() if flow.response is not None else ""
