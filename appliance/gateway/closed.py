"""Fail closed: what happens when our own code fails inside mitmproxy.

mitmproxy logs an exception from a hook and lets the traffic go on, unfiltered (H1). So every hook of
ours carries `@closed` or `@closed_soon`, and a test checks that. The decorated hook's class says what
closing means for each kind of data, in its method `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from appliance.model.decision import Reason

MARK = "__fails_closed__"

FAILURES = {
    Reason.FAULT: "The filter had a fault, so the page stays closed.",
    Reason.DEADLINE: "The filter could not answer in time, so the page stays closed.",
    Reason.OWN_NETWORK: "This name leads into a private network, not to the web.",
    Reason.UPSTREAM_CERTIFICATE: "The site could not prove that it is the site it claims to be.",
    Reason.UPSTREAM_UNREACHABLE: "The site did not answer.",
}
"""What the page and the record say of each kind of failure."""

PATIENT = {"request": 25.0}
"""Hooks that open nothing and wait for somebody: `request` only takes forms that come to us, and the sign-in
behind them takes its time at the start of a lesson. In seconds."""


class Closer(Protocol):
    """What the decorator needs of the class whose hooks it guards."""

    deadline: float
    """Longest time a hook may take, in seconds."""

    def fault(self, stage: str, reason: Reason, error: BaseException | None) -> None:
        """Log and count a fault; must not raise."""

    def close(self, stage: str, data: Any, reason: Reason) -> asyncio.Task[None] | None:
        """Make sure that nothing of `data` goes on; must not raise. Returns the record of it on its way."""


def closed[S: Closer, D](hook: Callable[[S, D], Any]) -> Callable[[S, D], Any]:
    """Wrap a hook: an exception or a missed deadline blocks, is logged and is counted."""
    stage = hook.__name__

    @functools.wraps(hook)
    def guarded(self: S, data: D) -> None:
        started = time.monotonic()
        try:
            hook(self, data)
        except Exception as error:  # noqa: BLE001 - whatever failed, the answer is closed
            _close(self, stage, data, Reason.FAULT, error)
        else:
            if time.monotonic() - started > self.deadline:
                _close(self, stage, data, Reason.DEADLINE, None)

    @functools.wraps(hook)
    async def guarded_async(self: S, data: D) -> None:
        await _rest(self, stage, data, hook(self, data), time.monotonic())

    chosen = guarded_async if inspect.iscoroutinefunction(hook) else guarded
    setattr(chosen, MARK, True)
    return chosen


def closed_soon[S: Closer, D](hook: Callable[[S, D], Awaitable[None] | None]) -> Callable[[S, D], Any]:
    """Wrap a hook that rarely waits: it returns None, or what is left to be awaited.

    As `closed` otherwise. Only what waits needs a task and a timer, which cost more than most judgements.
    """
    stage = hook.__name__

    @functools.wraps(hook)
    def guarded(self: S, data: D) -> Coroutine[Any, Any, None] | None:
        started = time.monotonic()
        try:
            waiting = hook(self, data)
        except Exception as error:  # noqa: BLE001 - whatever failed, the answer is closed
            return _later(self, _close(self, stage, data, Reason.FAULT, error))
        if waiting is not None:
            return _rest(self, stage, data, waiting, started)
        if time.monotonic() - started > self.deadline:
            return _later(self, _close(self, stage, data, Reason.DEADLINE, None))
        return None

    setattr(guarded, MARK, True)
    return guarded


def place_of(error: BaseException | None) -> str:
    """Return where in the code an error arose, for the log; no text of it, which may hold a pupil's words."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    code = trace.tb_frame.f_code
    return f" at {code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


def _limit(self: Closer, stage: str) -> float:
    return max(self.deadline, PATIENT.get(stage, 0.0))


async def _rest[S: Closer](self: S, stage: str, data: Any, waiting: Awaitable[None], started: float) -> None:
    limit = _limit(self, stage)
    try:
        async with asyncio.timeout(started + limit - time.monotonic()):
            await waiting
    except TimeoutError as error:
        await _kept(self, _close(self, stage, data, Reason.DEADLINE, error))
    except Exception as error:  # noqa: BLE001 - whatever failed, the answer is closed
        await _kept(self, _close(self, stage, data, Reason.FAULT, error))
    else:
        # A hook that held up the loop itself was never interrupted.
        if time.monotonic() - started > limit:
            await _kept(self, _close(self, stage, data, Reason.DEADLINE, None))


def _later(self: Closer, record: asyncio.Task[None] | None) -> Coroutine[Any, Any, None] | None:
    return _kept(self, record) if record is not None else None


async def _kept(self: Closer, record: asyncio.Task[None] | None) -> None:
    # On record before the client sees the outcome, as every refusal; but the answer does not hang on it.
    if record is not None:
        await asyncio.wait({record}, timeout=self.deadline)


def _close[S: Closer](
    self: S, stage: str, data: Any, reason: Reason, error: BaseException | None
) -> asyncio.Task[None] | None:
    # Close first, tell afterwards: telling may fail as well.
    try:
        record = self.close(stage, data, reason)
    except Exception as failure:
        _tell(self, stage, reason, failure)
        # mitmproxy lets traffic go on after an exception, but what waits for a hook that was cancelled
        # waits for ever: nothing of it moves, until the silent connection is closed.
        raise asyncio.CancelledError from failure
    _tell(self, stage, reason, error)
    return record


def _tell[S: Closer](self: S, stage: str, reason: Reason, error: BaseException | None) -> None:
    with contextlib.suppress(Exception):
        self.fault(stage, reason, error)
