from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from appliance.gateway.closed import MARK, PATIENT, closed, closed_soon
from appliance.model.decision import Reason

EVERY = ("plain", "waiting", "early", "later")
"""The hooks of these tests: one of each kind."""


class BrokenError(Exception):
    """What fails in these tests."""


@dataclass
class Hooks:
    """Hooks whose behaviour a test chooses, and a record of what closing did."""

    act: Callable[[], None] = lambda: None
    act_async: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
    deadline: float = 5.0
    closing: BaseException | None = None
    telling: BaseException | None = None
    closes: list[tuple[str, object, Reason]] = field(default_factory=list)
    faults: list[tuple[str, Reason, BaseException | None]] = field(default_factory=list)

    @closed
    def plain(self, _data: str) -> None:
        self.act()

    @closed
    async def waiting(self, _data: str) -> None:
        await self.act_async()

    @closed_soon
    def early(self, _data: str) -> Awaitable[None] | None:
        self.act()
        return None

    @closed_soon
    def later(self, _data: str) -> Awaitable[None] | None:
        return self.act_async()

    record: asyncio.Task[None] | None = None

    def close(self, stage: str, data: object, reason: Reason) -> asyncio.Task[None] | None:
        if self.closing is not None:
            raise self.closing
        self.closes.append((stage, data, reason))
        return self.record

    def fault(self, stage: str, reason: Reason, error: BaseException | None) -> None:
        self.faults.append((stage, reason, error))
        if self.telling is not None:
            raise self.telling


def fail() -> None:
    raise BrokenError


async def fail_async() -> None:
    fail()


async def run(hooks: Hooks, name: str) -> None:
    result = getattr(hooks, name)("data")
    if asyncio.iscoroutine(result):
        await result


def broken(**changes: float | BaseException) -> Hooks:
    return Hooks(act=fail, act_async=fail_async, **changes)  # type: ignore[arg-type]  # the tests name fields


@pytest.mark.parametrize("name", EVERY)
async def test_a_hook_that_works_closes_nothing(name: str) -> None:
    """An ordinary request is not disturbed by the guard around its hooks."""
    hooks = Hooks()
    await run(hooks, name)
    assert (hooks.closes, hooks.faults) == ([], [])


@pytest.mark.parametrize("name", EVERY)
async def test_an_exception_closes_and_is_told(name: str) -> None:
    """What raises in a hook is blocked instead of passed on unfiltered (H1)."""
    hooks = broken()
    await run(hooks, name)
    assert hooks.closes == [(name, "data", Reason.FAULT)]
    assert [(stage, reason, type(error)) for stage, reason, error in hooks.faults] == [
        (name, Reason.FAULT, BrokenError)
    ]


async def test_a_hook_that_waits_too_long_is_ended_and_closes() -> None:
    """A log or a name server that hangs cannot hold a request for ever, nor let it pass."""
    hooks = Hooks(act_async=lambda: asyncio.sleep(60), deadline=0.02)
    await hooks.waiting("data")
    assert hooks.closes == [("waiting", "data", Reason.DEADLINE)]
    assert [reason for _, reason, _ in hooks.faults] == [Reason.DEADLINE]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
async def test_a_hook_that_computes_too_long_closes_afterwards(name: str) -> None:
    """A judgement that came too late does not count, even where nothing could interrupt it."""

    async def block() -> None:
        time.sleep(0.03)  # noqa: ASYNC251 - holding up the loop is the fault that is tested

    hooks = Hooks(act=lambda: time.sleep(0.03), act_async=block, deadline=0.01)
    await run(hooks, name)
    assert hooks.closes == [(name, "data", Reason.DEADLINE)]
    assert [reason for _, reason, _ in hooks.faults] == [Reason.DEADLINE]


@pytest.mark.parametrize("name", EVERY)
async def test_where_closing_fails_the_hook_never_completes(name: str) -> None:
    """An exception is swallowed by mitmproxy, which goes on: a failed close must stop the hook for good."""
    hooks = broken(closing=RuntimeError("close"), telling=RuntimeError("fault"))
    with pytest.raises(asyncio.CancelledError):
        await run(hooks, name)
    assert [type(error) for _, _, error in hooks.faults] == [RuntimeError]


@pytest.mark.parametrize("name", EVERY)
async def test_a_fault_that_cannot_be_told_is_closed_all_the_same(name: str) -> None:
    """A full disk or a broken counter opens nothing, and hides no further failure behind its own."""
    hooks = broken(telling=OSError("no space"))
    await run(hooks, name)
    assert [reason for _, _, reason in hooks.closes] == [Reason.FAULT]


async def test_the_end_of_the_connection_is_no_fault() -> None:
    """A hook that is cancelled because its client left is not counted as a fault of the filter."""
    hooks = Hooks(act_async=lambda: asyncio.sleep(60))
    task = asyncio.create_task(hooks.waiting("data"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (hooks.closes, hooks.faults) == ([], [])


def test_the_guard_can_be_seen_from_outside() -> None:
    """The lint of all hooks relies on this mark."""
    assert getattr(Hooks.plain, MARK) is True
    assert getattr(Hooks.waiting, MARK) is True
    assert Hooks.plain.__name__ == "plain"


@pytest.mark.parametrize(("takes", "kept"), [(0.01, True), (60.0, False)])
async def test_a_client_sees_the_outcome_when_the_fault_is_on_record(takes: float, *, kept: bool) -> None:
    """What our own fault closed is on the disk before it is answered; but no answer hangs on a slow disk."""
    done: list[bool] = []

    async def write() -> None:
        await asyncio.sleep(takes)
        done.append(True)

    record = asyncio.create_task(write())
    hooks = Hooks(act_async=fail_async, deadline=5.0 if kept else 0.05, record=record)
    await run(hooks, "waiting")
    assert bool(done) is kept
    record.cancel()


def test_only_the_hook_that_judges_nothing_may_wait_longer() -> None:
    """The sign-in takes its time at lesson start; what judges keeps the deadline of the settings."""
    assert set(PATIENT) == {"request"}
