"""The lean lane: its layer in mitmproxy's layer system.

What lives only here: mitmproxy's events in, its commands out, for a connection that `lane_carriage.py`
carries. The same connection can leave the layers for a while (`lane_wire.py`); whatever is more than bytes
to and from the client is done here in either case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import override

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer

from appliance.gateway.heads import MALFORMED_MARK, plain_answer
from appliance.gateway.lane_acts import Act, Alarm, Close, HandOver, Refuse
from appliance.gateway.lane_carriage import Carriage
from appliance.gateway.lane_judge import Failure, Lane, LaneFailedHook
from appliance.gateway.lane_link import (
    Acts,
    LaneEvent,
    Left,
    Link,
    Lost,
    Opened,
    Received,
    Relieved,
    Unreachable,
)
from appliance.gateway.lingering import UNREAD_MARK


class HeadAlarm(commands.RequestWakeup):
    """A wake-up for one layer, which no other shall take for its own."""

    def __init__(self, delay: float, owner: Layer) -> None:
        super().__init__(delay)
        self.owner = owner


class LeanLayer(Layer):
    """One client connection in the lean lane."""

    def __init__(self, context: Context, lane: Lane, link: Link, full: Callable[[], Layer]) -> None:
        """Begin; `full` makes the full lane's layer."""
        super().__init__(context)
        self._full = full
        self._child: Layer | None = None
        self._todo: list[Act | bytes] = []
        self.carriage = Carriage(context.client, lane, self, link)
        link.join(self, self.carriage, context)

    # --- what the carriage wants (lane_carriage.Out) ---

    def send(self, data: bytes) -> None:
        """Send bytes to the client, once the event that caused it is handled."""
        self._todo.append(data)

    def act(self, act: Act) -> None:
        """Do something else, in its turn."""
        self._todo.append(act)

    # --- events ---

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        client = self.context.client
        if isinstance(event, LaneEvent) and event.owner is self:
            if isinstance(event, Left):
                client.state &= ~ConnectionState.CAN_READ
                yield from self._handle_event(events.ConnectionClosed(client))
                return
            self._told(event)
        elif isinstance(event, events.Wakeup) and isinstance(event.command, HeadAlarm):
            if event.command.owner is self:
                self.carriage.alarm()
            elif self._child is not None:
                yield from self._child.handle_event(event)
        elif self._child is not None:
            yield from self._child.handle_event(event)
            return
        elif isinstance(event, events.DataReceived) and event.connection is client:
            self.carriage.feed(event.data)
        elif isinstance(event, events.ConnectionClosed) and event.connection is client:
            self.carriage.left()
        yield from self._do()

    def _told(self, event: LaneEvent) -> None:
        carriage = self.carriage
        if isinstance(event, Acts):
            self._todo.append(event.act)
        elif carriage.gone:
            return
        elif isinstance(event, Received):
            carriage.received(event.data)
        elif isinstance(event, Opened):
            carriage.opened(event.upstream)
        elif isinstance(event, Unreachable):
            carriage.unreachable(event.problem)
        elif isinstance(event, Lost):
            carriage.lost(event.problem)
        elif isinstance(event, Relieved):
            carriage.feed(b"")

    def _do(self) -> CommandGenerator[None]:
        while self._todo:
            act = self._todo.pop(0)
            if isinstance(act, bytes):
                yield commands.SendData(self.context.client, act)
            elif isinstance(act, Failure):
                yield LaneFailedHook(act)
                self.carriage.apologise(act)
            else:
                yield from self._act(act)

    def _act(self, act: Close | HandOver | Refuse | Alarm) -> CommandGenerator[None]:
        client = self.context.client
        if isinstance(act, Alarm):
            yield HeadAlarm(act.seconds, self)
        elif isinstance(act, HandOver):
            yield from self._become(self._full(), act.data)
        elif isinstance(act, Refuse):
            yield commands.Log(f"{MALFORMED_MARK}{act.why}")
            if act.status:
                yield commands.SendData(client, plain_answer(act.status, act.why))
                yield from self._act(Close())
        else:
            self._child = Ended(self.context)
            if act.unread:
                yield commands.Log(UNREAD_MARK)
            if client.state is not ConnectionState.CLOSED:
                yield commands.CloseConnection(client)

    def _become(self, child: Layer, data: bytes) -> CommandGenerator[None]:
        self._child = child
        yield from child.handle_event(events.Start())
        if data:
            yield from child.handle_event(events.DataReceived(self.context.client, data))


class Ended(Layer):
    """What comes after the end: nothing."""

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield from ()
