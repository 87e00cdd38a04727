from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer, NextLayer, NextLayerHook

from appliance.gateway.handler import Handler
from appliance.gateway.hooks import Answer, Answering, Hooks, above
from tests.gateway.playbook import client_context


class Addon:
    """An addon with one hook, which does what a test says."""

    def __init__(self, act: Callable[[Any], Any]) -> None:
        self.next_layer = act


class Waiting:
    """An addon whose hook may wait."""

    def __init__(self, act: Callable[[], Awaitable[None]]) -> None:
        self.act = act

    async def next_layer(self, _data: object) -> None:
        await self.act()


def hooks_of(*addons: object) -> Hooks:
    chain: Any = SimpleNamespace(chain=list(addons))
    return Hooks(chain)


def hook(context: Context) -> NextLayerHook:
    return NextLayerHook(NextLayer(context))


class Script(Layer):
    """A layer that yields what a test says, and remembers which events came."""

    def __init__(self, context: Context, script: Callable[[], Iterator[commands.Command]]) -> None:
        super().__init__(context)
        self.script = script
        self.came: list[events.Event] = []

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        self.came.append(event)
        yield from self.script()
        self.came.append(events.Start())


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    with client_context() as made:
        yield made


async def test_every_addon_is_asked_in_the_order_of_the_chain(context: Context) -> None:
    """What our addon sets comes last, and holds (H15)."""
    asked: list[str] = []
    hooks = hooks_of(Addon(lambda _: asked.append("first")), object(), Addon(lambda _: asked.append("last")))
    for _ in range(2):
        assert hooks.start(hook(context)) is Answer.DONE
    assert asked == ["first", "last"] * 2


async def test_a_failing_addon_keeps_no_other_from_being_asked(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in one of mitmproxy's parts must not take the filter out, and its text stays unseen (H30)."""
    asked: list[str] = []

    def fail(_data: object) -> None:
        raise ValueError("secret")

    async def fail_later() -> None:
        raise ValueError("secret")

    chain = (Addon(fail), Waiting(fail_later), Addon(lambda _: asked.append("filter")))
    assert hooks_of(*chain).start(hook(context)) is Answer.DONE
    assert hooks_of(chain[0], chain[2]).start(hook(context)) is Answer.DONE
    assert asked == ["filter", "filter"]
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_hook_that_does_not_wait_is_done_at_once_though_it_could_wait(context: Context) -> None:
    """An ordinary request costs no round through the event loop."""

    async def nothing() -> None:
        """Wait for nothing."""

    assert hooks_of(Waiting(nothing)).start(hook(context)) is Answer.DONE


async def test_a_hook_that_was_cancelled_never_completes(context: Context) -> None:
    """Where even closing failed, nothing of the connection goes on (see closed.py)."""

    def cancel(_data: object) -> None:
        raise asyncio.CancelledError

    async def cancelled() -> None:
        raise asyncio.CancelledError

    layer = Script(context, lambda: iter([hook(context)]))
    for addon in (Addon(cancel), Waiting(cancelled)):
        assert hooks_of(addon).start(hook(context)) is Answer.NEVER
        assert list(Answering(layer, hooks_of(addon)).handle_event(events.Start())) == []
        assert len(layer.came) == 1
        layer = Script(context, lambda: iter([hook(context)]))


async def test_a_layer_goes_on_as_soon_as_its_hook_is_answered(context: Context) -> None:
    """The hook is no command that anybody above the layers has to carry out."""
    layer = Script(context, lambda: iter([hook(context)]))
    top = Answering(layer, hooks_of())
    assert top not in context.layers
    assert list(top.handle_event(events.Start())) == []
    assert len(layer.came) == 2


async def test_a_hook_is_answered_at_the_layer_that_asks_for_it(context: Context) -> None:
    """What a layer below has answered is not asked again above, and goes back in after its event."""
    asked: list[object] = []
    layer = Script(context, lambda: iter([hook(context), commands.SendData(context.client, b"1")]))
    top = Answering(Script(context, lambda: iter([])), hooks_of(Addon(asked.append)))
    assert above(context.client) is top
    (sent,) = top.answered(layer.handle_event, events.Start())
    assert isinstance(sent, commands.SendData)
    assert (len(asked), len(layer.came)) == (1, 2)


async def test_a_hook_that_waits_is_begun_once_and_passed_up(context: Context) -> None:
    """A refusal is put on record once, whichever of the layers began to do so."""
    begun: list[object] = []

    async def record() -> None:
        begun.append(None)
        await asyncio.sleep(60)

    inner = Script(context, lambda: iter([hook(context)]))
    top = Answering(Script(context, lambda: iter([])), hooks_of(Waiting(record)))
    between = functools.partial(top.answered, inner.handle_event)
    (asked,) = top.answered(between, events.Start())
    assert isinstance(asked, commands.StartHook)
    assert (len(begun), list(top.waiting)) == (1, [asked])
    assert len(inner.came) == 1
    top.waiting[asked].cancel()


@pytest.mark.slow
async def test_nobody_stands_above_a_connection_that_has_gone(context: Context) -> None:
    """What is remembered of connections is forgotten with them, for months (H7)."""
    top = Answering(Script(context, lambda: iter([])), hooks_of())
    del top
    gc.collect()
    assert above(context.client) is None


@pytest.mark.slow
async def test_a_layer_waits_for_a_hook_that_waits(context: Context) -> None:
    """What is flagged is on record before anything of it goes on (S-40)."""
    recorded = asyncio.Event()

    async def record() -> None:
        await recorded.wait()

    layer = Script(context, lambda: iter([commands.SendData(context.client, b"1"), hook(context)]))
    top = Answering(layer, hooks_of(Waiting(record)))
    sent, asked = top.handle_event(events.Start())
    assert isinstance(sent, commands.SendData)
    assert isinstance(asked, NextLayerHook)
    handler: Any = Handler.__new__(Handler)
    handler.layer = top
    handler.timeout_watchdog = SimpleNamespace(disarm=contextlib.nullcontext)
    waiting = asyncio.create_task(handler.handle_hook(asked))
    await asyncio.sleep(0)
    assert not waiting.done()
    recorded.set()
    await waiting
    assert top.waiting == {}


async def test_the_handler_s_own_hooks_are_asked_on_the_same_way(context: Context) -> None:
    """Connecting and leaving are told to the same addons, and a cancelled telling stops the connection."""
    asked: list[object] = []
    handler: Any = Handler.__new__(Handler)
    handler.layer = object()
    handler.hooks = hooks_of(Addon(asked.append))
    await handler.handle_hook(hook(context))
    assert len(asked) == 1

    def cancel(_data: object) -> None:
        raise asyncio.CancelledError

    handler.hooks = hooks_of(Addon(cancel))
    with pytest.raises(asyncio.CancelledError):
        await handler.handle_hook(hook(context))


async def test_what_is_sent_in_one_go_leaves_in_one_piece_and_in_order(context: Context) -> None:
    """Head and body of an answer are one write, and bytes of two connections are never mixed."""
    client, server = context.client, Server(address=None)

    def script() -> Iterator[commands.Command]:
        yield commands.SendData(client, b"head ")
        yield hook(context)
        yield commands.SendData(client, b"body")
        yield commands.SendData(server, b"ask")
        yield commands.SendData(client, b"more")
        yield commands.CloseConnection(client)
        yield commands.SendData(server, b"last")

    found = list(Answering(Script(context, script), hooks_of()).handle_event(events.Start()))
    told = [
        (one.connection, one.data) if isinstance(one, commands.SendData) else type(one).__name__
        for one in found
    ]
    assert told == [
        (client, b"head body"),
        (server, b"ask"),
        (client, b"more"),
        "CloseConnection",
        (server, b"last"),
    ]
