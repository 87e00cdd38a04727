"""mitmproxy's layers without sockets: what a test feeds in, and what came of it.

The filter above the layers is three lines long here: bets.example is blocked, everything else is allowed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mitmproxy import http
from mitmproxy.addons import proxyserver
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from appliance.gateway import actions
from appliance.gateway.heads import INVALID
from appliance.gateway.pages import Answer

type Hook = Callable[[Any], None]

PAGE = Answer(403, (("content-type", "text/html"),), b"<p>blocked</p>")
TROUBLE = Answer(502, (("content-type", "text/html"),), b"<p>site down</p>")
SITE = ("site.example", 80)


def block(flow: http.HTTPFlow) -> None:
    actions.answer(flow, PAGE)


def allow(flow: http.HTTPFlow) -> None:
    flow.request.data.host, flow.request.data.port = SITE
    flow.request.stream = True


def stream(flow: http.HTTPFlow) -> None:
    assert flow.response is not None
    flow.response.stream = True


def apologise(flow: http.HTTPFlow) -> None:
    if flow.response is None:
        actions.answer(flow, TROUBLE)


def judge(flow: http.HTTPFlow) -> None:
    """Block bets.example and what contradicts itself, and allow the rest."""
    blocked = "bets" in flow.request.headers.get("host", "") or INVALID in flow.metadata
    block(flow) if blocked else allow(flow)


HOOKS: dict[str, Hook] = {"requestheaders": judge, "responseheaders": stream, "error": apologise}


type Start = Callable[..., "Play"]


@contextmanager
def client_context(alpn: bytes | None = None, address: tuple[str, int] | None = None) -> Iterator[Context]:
    """Give the context of one client connection; `address` is where a redirected one was going."""
    with taddons.context(proxyserver.Proxyserver()) as running:
        running.options.update(connection_strategy="lazy", rawtcp=False)
        client = Client(
            peername=("10.20.0.5", 50_000),
            sockname=("10.20.0.1", 8080),
            timestamp_start=0.0,
            proxy_mode=ProxyMode.parse("regular"),
            state=ConnectionState.OPEN,
        )
        client.alpn = alpn
        made = Context(client, running.options)
        made.server = Server(address=address)
        yield made


class Play:
    """Feeds a layer, answers what it asks for at once, and keeps what it did.

    `hooks` act on what a hook is given; `unreachable` is what every new connection fails with.
    """

    def __init__(self, layer: Layer, context: Context, hooks: dict[str, Hook] | None = None) -> None:
        self.layer = layer
        self.client: Client = context.client
        self.hooks = hooks or {}
        self.unreachable: str | None = None
        self.sent: defaultdict[Connection, bytes] = defaultdict(bytes)
        self.opened: list[Server] = []
        self.closed: list[Connection] = []
        self.called: list[str] = []
        self.flows: list[http.HTTPFlow] = []
        self.logs: list[str] = []
        self.wakeups: list[commands.RequestWakeup] = []
        self.feed(events.Start())

    def feed(self, event: events.Event) -> None:
        """Give the layer one event, and the answers to all that it asks for."""
        waiting = [event]
        while waiting:
            for command in self.layer.handle_event(waiting.pop(0)):
                waiting += self._carry_out(command)

    def receive(self, data: bytes, connection: Connection | None = None) -> None:
        """Let `data` arrive, from the client unless another connection is named."""
        self.feed(events.DataReceived(connection or self.client, data))

    def leave(self, connection: Connection | None = None) -> None:
        """Let the other side close its connection."""
        connection = connection or self.client
        connection.state &= ~ConnectionState.CAN_READ
        self.feed(events.ConnectionClosed(connection))

    def wake(self) -> None:
        """Let the time of the last requested wake-up come."""
        self.feed(events.Wakeup(self.wakeups[-1]))

    @property
    def answer(self) -> bytes:
        """Everything that was sent to the client."""
        return self.sent[self.client]

    @property
    def statuses(self) -> list[int]:
        """The statuses of all HTTP/1 answers to the client."""
        return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d+)", self.answer)]

    @property
    def upstream(self) -> bytes:
        """Everything that was sent to any site."""
        return b"".join(data for connection, data in self.sent.items() if connection is not self.client)

    def _carry_out(self, command: commands.Command) -> list[events.Event]:
        if isinstance(command, commands.StartHook):
            return self._hook(command)
        if isinstance(command, commands.OpenConnection):
            return self._open(command)
        if isinstance(command, commands.SendData):
            self.sent[command.connection] += command.data
        elif isinstance(command, commands.CloseConnection):
            self.closed.append(command.connection)
            command.connection.state = ConnectionState.CLOSED
        elif isinstance(command, commands.RequestWakeup):
            self.wakeups.append(command)
        elif isinstance(command, commands.Log):
            self.logs.append(command.message)
        return []

    def _hook(self, command: commands.StartHook) -> list[events.Event]:
        (data,) = command.args()
        self.called.append(command.name)
        if isinstance(data, http.HTTPFlow) and data not in self.flows:
            self.flows.append(data)
        if command.name in self.hooks:
            self.hooks[command.name](data)
        return [events.HookCompleted(command)] if command.blocking else []

    def _open(self, command: commands.OpenConnection) -> list[events.Event]:
        assert isinstance(command.connection, Server)
        self.opened.append(command.connection)
        if self.unreachable is None:
            command.connection.state = ConnectionState.OPEN
        else:
            command.connection.error = self.unreachable
        return [events.OpenConnectionCompleted(command, self.unreachable)]
