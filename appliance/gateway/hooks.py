"""From mitmproxy's layers to our hooks, on the shortest way.

What lives only here: how a hook is found and run. mitmproxy makes a task for each hook, looks through every
addon for it, and asks all of them once more whether they want to know that the flow has changed. Here the
functions are found once; a hook that need not wait is answered where the layer asked, and only one that
waits (for the log to be on the disk) becomes a task of mitmproxy's. What the layers send meanwhile
leaves in one piece.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields
from enum import Enum
from typing import Any, override
from weakref import WeakValueDictionary

from mitmproxy import addonmanager
from mitmproxy.connection import Client, Connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator, Layer

logger = logging.getLogger(__name__)

type Function = Callable[[Any], Any]


class Answer(Enum):
    """What became of a hook that need not be waited for."""

    DONE = "done"
    NEVER = "never"
    """It was cancelled: whoever waits for it waits for ever, and nothing of it goes on (see `closed.py`)."""


type Outcome = Answer | asyncio.Task[None]


class Hooks:
    """The hooks of all addons of one worker; they stay what they are once it serves."""

    def __init__(self, addons: addonmanager.AddonManager) -> None:
        self._addons = addons
        self._found: dict[type, tuple[str, tuple[Function, ...]]] = {}

    def start(self, hook: commands.StartHook) -> Outcome:
        """Run a hook in every addon that has it, in the order of the chain; return what came of it.

        A task is returned, already begun, when something in it has to wait.
        """
        name, functions = self._found.get(type(hook)) or self._find(type(hook))
        data = getattr(hook, name)
        remaining = iter(functions)
        try:
            for function in remaining:
                if (waiting := _call(function, data)) is not None:
                    return _begun(waiting, remaining, data)
        except asyncio.CancelledError:
            return Answer.NEVER
        return Answer.DONE

    def _find(self, kind: type[commands.StartHook]) -> tuple[str, tuple[Function, ...]]:
        addons = list(addonmanager.traverse(self._addons.chain))
        functions = tuple(found for addon in addons if callable(found := getattr(addon, kind.name, None)))
        (only,) = fields(kind)  # type: ignore[arg-type] # every hook is a dataclass with one field
        found = self._found[kind] = only.name, functions
        return found


def _call(function: Function, data: Any) -> Awaitable[None] | None:
    # As in mitmproxy, one addon that fails does not keep the next from being asked. Ours fail closed by
    # themselves; the text of an error may hold what a pupil wrote (H30).
    try:
        result: Awaitable[None] | None = function(data)
    except Exception as error:  # noqa: BLE001 - whatever failed, the next one is asked
        _tell(error)
        return None
    return result


def _begun(first: Awaitable[None], remaining: Iterator[Function], data: Any) -> Outcome:
    # Only now a task: most hooks are done by the time they return.
    rest = _await_all(first, remaining, data)
    task = asyncio.Task(rest, loop=asyncio.get_running_loop(), eager_start=True)
    return task if not task.done() else Answer.NEVER if task.cancelled() else Answer.DONE


async def _await_all(first: Awaitable[None], remaining: Iterator[Function], data: Any) -> None:
    await _guarded(first)
    for function in remaining:
        if (waiting := _call(function, data)) is not None:
            await _guarded(waiting)


async def _guarded(waiting: Awaitable[None]) -> None:
    try:
        await waiting
    except Exception as error:  # noqa: BLE001 - as above
        _tell(error)


def _tell(error: Exception) -> None:
    logger.error("a hook of an addon failed: %s", type(error).__name__)


_ABOVE: WeakValueDictionary[str, Answering] = WeakValueDictionary()
"""Who stands above the layers of each client that is there, by the client's id."""


def above(client: Client) -> Answering | None:
    """Return who stands above the layers of a client's connection; None where nobody does."""
    return _ABOVE.get(client.id)


class Answering(Layer):
    """Stands above a connection's layers: answers their hooks at once, and joins what they send.

    Hooks that wait are put into `waiting`, from where the connection's handler takes them.
    """

    def __init__(self, top: Layer, hooks: Hooks) -> None:
        super().__init__(top.context)
        self.context.layers.remove(self)  # the layers below count themselves, and this is none of them
        self.waiting: dict[commands.StartHook, asyncio.Task[None]] = {}
        self._top = top
        self._hooks = hooks
        _ABOVE[self.context.client.id] = self

    def answered(
        self, handle: Callable[[events.Event], CommandGenerator[None]], event: events.Event
    ) -> CommandGenerator[None]:
        """Let a layer handle an event, and answer the hooks that come of it at that layer.

        So they need not go through all the layers above, up and down again. Those that wait are passed up.
        """
        queue = deque((event,))
        while queue:
            for command in handle(queue.popleft()):
                if not isinstance(command, commands.StartHook) or command in self.waiting:
                    yield command
                    continue
                outcome = self._hooks.start(command)
                if isinstance(outcome, asyncio.Task):
                    self.waiting[command] = outcome
                    yield command
                elif outcome is Answer.DONE and command.blocking:
                    queue.append(events.HookCompleted(command))

    @override
    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        sending = _Sending()
        for command in self.answered(self._top.handle_event, event):
            if isinstance(command, commands.SendData):
                yield from sending.add(command)
            else:
                yield from sending.out()
                yield command
        yield from sending.out()

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield from self.handle_event(event)


class _Sending:
    """What is to be sent on one connection and has not left yet."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._parts: list[bytes] = []

    def add(self, command: commands.SendData) -> Iterator[commands.Command]:
        if self._connection is not command.connection:
            yield from self.out()
            self._connection = command.connection
        self._parts.append(command.data)

    def out(self) -> Iterator[commands.Command]:
        if self._connection is not None:
            yield commands.SendData(self._connection, b"".join(self._parts))
            self._connection = None
            self._parts.clear()
