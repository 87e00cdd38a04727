from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from appliance import serving


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for are calls and files, which set no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("how", ["terminated", "orphaned"])
async def test_a_worker_ends_by_signal_and_with_its_supervisor(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose supervisor has gone ends by itself, and leaves its port to the next start."""
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading, "rb", buffering=0))
    stopped: list[bool] = []
    worker: Any = SimpleNamespace(stop=lambda: stopped.append(True))
    serving._end_on_signals(worker, supervised=True)
    os.write(writing, b"x")
    await asyncio.sleep(0.01)
    assert stopped == []
    if how == "terminated":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        os.close(writing)
    await until(lambda: stopped)
    loop = asyncio.get_running_loop()
    loop.remove_signal_handler(signal.SIGTERM)
    loop.remove_reader(reading)
    sys.stdin.close()
    if how == "terminated":
        os.close(writing)


def test_a_supervised_worker_says_when_it_serves(capsys: pytest.CaptureFixture[str]) -> None:
    """The supervisor learns that the ports are open; a worker alone has nobody to tell."""
    serving._say_ready(supervised=False)
    assert capsys.readouterr().out == ""
    serving._say_ready(supervised=True)
    assert capsys.readouterr().out == "ready\n"


@pytest.mark.parametrize(("said", "goes"), [(b"go\n", True), (b"", False), (b"stop\n", False)])
def test_a_worker_waits_for_the_word(said: bytes, *, goes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker in reserve serves when it is told to, and ends when its supervisor has gone instead."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said)))
    assert serving.wait_for_go() is goes
