"""Workers that are really forked; slow, since the process that forks them loads mitmproxy first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from multiprocessing import forkserver, util
from pathlib import Path

import pytest

from appliance import workers
from appliance.handover import Alive
from appliance.supervisor import CANNOT_START
from tests.doubles.running import below, free_port, workers_of
from tests.doubles.school import configuration, edit
from tests.test_processes import HOST
from tests.test_supervisor import alive

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[workers.Worker]:
    """Start one worker with the shipped configuration, and end it."""
    config = configuration(folder)
    edit(config, "listen: 127.0.0.1:8080", f"listen: {HOST}:{free_port()}")
    edit(config, "listen: 127.0.0.1:9464", f"listen: {HOST}:{free_port()}")
    from appliance import assembly  # noqa: PLC0415 - not when the tests are collected

    await asyncio.to_thread(assembly.prepare, assembly.load(config).settings)
    alive = Alive()
    started = await workers.start(config, 0, (), alive.reading)
    ended = asyncio.ensure_future(started.wait())
    try:
        yield started
    finally:
        started.kill()
        await ended
        started.close()
        alive.close()


def test_a_worker_serves_ends_when_asked_and_is_known_by_name(tmp_path: Path) -> None:
    """`ps` shows which process is which worker; it says when its port is open, and ends cleanly."""

    async def run() -> None:
        async with worker(tmp_path) as one:
            assert await one.ready()
            assert one.pid in workers_of(os.getpid())
            assert one.returncode is None
            one.terminate()
            assert await one.wait() == 0
            one.terminate()  # it has gone: nobody else is hit, and nothing is raised

    asyncio.run(run())


def test_a_worker_that_cannot_serve_says_so_by_its_status(tmp_path: Path) -> None:
    """A configuration that cannot be read ends the start instead of being tried for ever."""

    async def run() -> None:
        alive = Alive()
        one = await workers.start(tmp_path / "none.yaml", 0, (), alive.reading)
        assert not await one.ready()
        assert await one.wait() == CANNOT_START
        one.close()

    asyncio.run(run())


def test_a_lost_fork_server_leaves_no_worker_unwatched(tmp_path: Path) -> None:
    """Its workers count as ended and do end, and the next one comes from a new fork server."""

    async def run() -> None:
        async with worker(tmp_path) as one:
            assert await one.ready()
            os.kill(parent_of(one.pid), signal.SIGKILL)
            assert await one.wait() != 0
            until = time.monotonic() + 30
            while alive(one.pid) and time.monotonic() < until:  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(0.01)
            assert not alive(one.pid)
        async with worker(tmp_path / "again") as other:
            assert await other.ready()

    (tmp_path / "again").mkdir()
    asyncio.run(run())


def test_workers_are_replaced_after_the_folder_of_the_fork_server_was_tidied_away(tmp_path: Path) -> None:
    """Somebody who cleans /tmp on a running gateway does not leave it without workers (DFE-F3)."""

    async def run() -> None:
        async with worker(tmp_path) as one:
            assert await one.ready()
            shutil.rmtree(util.get_temp_dir())
            async with worker(tmp_path / "again") as other:
                assert await other.ready()
                assert await one.wait() != 0  # heard of as ended, so that its supervisor replaces it too

    (tmp_path / "again").mkdir()
    asyncio.run(run())


def test_a_new_start_knows_nothing_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that forks workers ends with the run it belongs to, and its environment with it."""
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "nobody's"))
    kept = len(list(below(os.getpid())))
    workers.load()
    workers.unload()
    workers.unload()
    monkeypatch.undo()
    assert len(list(below(os.getpid()))) <= kept + 1  # Python's own tracker of resources stays

    async def run() -> None:
        async with worker(tmp_path) as one:
            assert await one.ready()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _no_fork_server_is_left() -> Iterator[None]:
    workers.unload()
    yield
    workers.unload()


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def test_it_is_loaded_once() -> None:
    """Asking again to load starts no second process that holds all of it."""
    workers.load()
    before = list(below(os.getpid()))
    workers.load()
    assert list(below(os.getpid())) == before
    assert forkserver is not None
