from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance import assembly, serving
from appliance.events.errors import EventsError
from appliance.gateway.ca import AuthorityError, ensure_authority
from appliance.gateway.listen import WorkerError
from appliance.gateway.options import Recycle
from appliance.gateway.passage import Passage
from appliance.settings import load_settings
from appliance.supervisor import CANNOT_START, READY
from tests.doubles.addon import Bench
from tests.doubles.school import configuration


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for are calls and files, which set no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("how", ["terminated", "orphaned"])
async def test_a_worker_ends_by_signal_and_with_its_supervisor(how: str) -> None:
    """A worker whose supervisor has gone ends by itself, and leaves its port to the next start."""
    reading, writing = os.pipe()
    stopped: list[bool] = []
    worker: Any = SimpleNamespace(stop=lambda: stopped.append(True))
    serving._end_on_signals(worker, reading, Recycle())
    await asyncio.sleep(0.01)
    assert stopped == []
    if how == "terminated":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        os.close(writing)
    await until(lambda: stopped)
    loop = asyncio.get_running_loop()
    loop.remove_signal_handler(signal.SIGTERM)
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_reader(reading)
    os.close(reading)
    if how == "terminated":
        os.close(writing)


async def test_a_worker_that_is_replaced_leaves_once_and_in_its_time() -> None:
    """However often it is asked, a worker begins to leave once, with the time that the settings give."""
    left: list[float] = []

    async def leave(seconds: float) -> None:
        left.append(seconds)

    worker: Any = SimpleNamespace(stop=lambda: None, leave=leave)
    serving._end_on_signals(worker, None, Recycle(drain_seconds=7))
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: left)
    assert left == [7]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        loop.remove_signal_handler(number)


def test_a_supervised_worker_says_when_it_serves() -> None:
    """The supervisor learns that the ports are open; one that has gone meanwhile costs nothing."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with ours, theirs:
        serving._say_ready(theirs)
        assert ours.recv_bytes() == READY
        ours.close()
        serving._say_ready(theirs)


@pytest.mark.parametrize("error", [WorkerError("port"), AuthorityError("ca.pem"), EventsError("damaged")])
def test_a_worker_that_cannot_serve_says_why(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What cannot get better by trying again is status 2, so that the supervisor gives up."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(serving, "work", fail)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with ours, theirs:
        under = serving.Under(theirs, ours)
        assert serving.serve_one(configuration(tmp_path), 1, under) == CANNOT_START
        assert f"appliance: worker 1: {error}" in capsys.readouterr().err
        assert serving.serve_one(tmp_path / "none.yaml", 0, under) == CANNOT_START
        assert "none.yaml:1:1: cannot be read" in capsys.readouterr().err


@pytest.mark.slow
async def test_a_worker_judges_again_what_it_carries(tmp_path: Path) -> None:
    """What nobody asks for does not happen: where unread connections are judged again, so are read ones."""
    settings = load_settings(configuration(tmp_path)).settings
    ensure_authority(settings.state / "ca", "Westways")
    assembly.ensure_key(settings.state / "keys" / "review.key")
    bench = Bench()
    nobody: Any = None
    bench.doors.passage = passage = Passage(bench.filtering, bench.recorder, bench.metrics, nobody)
    serving._worker(settings, bench.filtering, nobody, nobody, bench.doors, nobody)
    assert passage.ongoing is not None
    await passage.ongoing()
