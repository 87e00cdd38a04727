from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance import supervisor
from appliance.supervisor import CANNOT_START, StartError, Supervisor

ROOT = Path(__file__).resolve().parents[1]
SERVE = "print('ready', flush=True); sys.stdin.read()"
"""A worker that serves until its supervisor has gone."""


@dataclass
class Counters:
    """What the supervisor counted; `broken` makes every number fail."""

    restarts: int = 0
    gone: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    broken: bool = False

    def _tell(self) -> None:
        if self.broken:
            raise OSError("no space left on device")

    def workers_running(self, count: int) -> None:
        self._tell()
        self.running.append(count)

    def worker_up(self, place: int, *, up: bool) -> None:
        del place, up
        self._tell()

    def worker_restarted(self) -> None:
        self._tell()
        self.restarts += 1

    def worker_renewed(self, why: str) -> None:
        self._tell()
        self.renewed.append(why)

    def worker_gone(self, pid: int) -> None:
        self._tell()
        self.gone.append(pid)


class Started:
    """A worker that is a program of its own: a few lines of Python, started as quickly as can be."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ready(self) -> bool:
        assert self._process.stdout is not None
        return await self._process.stdout.readline() == b"ready\n"

    async def wait(self) -> int:
        return await self._process.wait()

    def leave(self) -> None:
        self._process.send_signal(signal.SIGUSR1)

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Nothing is left to let go of."""


type Start = Callable[[int], Awaitable[Started]]


def python(*lines: str) -> Start:
    """Return what starts a worker that runs `lines`."""
    code = "import sys, os, signal, time\n" + "\n".join(textwrap.dedent(line) for line in lines)
    return program(sys.executable, "-I", "-S", "-c", code)


def program(*command: str) -> Start:
    """Return what starts a worker by a command."""

    async def start(_place: int) -> Started:
        pipe = subprocess.PIPE
        return Started(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    return start


def alive(pid: int) -> bool:
    """Return whether the process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for are processes, which set no event
            await asyncio.sleep(0.005)


def pids(keeper: Supervisor) -> list[int]:
    return [slot.pid for slot in keeper._slots if slot.pid]


def keep(
    start: Start,
    scenario: Callable[[Supervisor], Awaitable[None]],
    *,
    count: int = 1,
    counters: Counters | None = None,
    alongside: tuple[Callable[[], Awaitable[None]], ...] = (),
    gone: Callable[[int], None] = lambda _place: None,
) -> Counters:
    """Run a supervisor through a scenario, stop it, and make sure that it leaves nobody behind."""
    counters = counters or Counters()

    async def run() -> None:
        keeper = Supervisor(start, count, counters, gone=gone, leave_seconds=0.1)
        task = asyncio.create_task(keeper.run(lambda: None, *alongside))
        try:
            await scenario(keeper)
        finally:
            keeper.stop()
            await task
        assert not any(alive(pid) for pid in pids(keeper))

    asyncio.run(run())
    return counters


@pytest.mark.slow
def test_all_workers_serve_before_it_is_said() -> None:
    """`appliance run` prints what to try only when trying it works."""
    ready: list[bool] = []

    async def run() -> None:
        keeper = Supervisor(python(SERVE), 2, counters)
        task = asyncio.create_task(
            keeper.run(lambda: ready.append(all(slot.serving for slot in keeper._slots)))
        )
        await until(lambda: ready)
        keeper.stop()
        await task

    counters = Counters()
    asyncio.run(run())
    assert ready == [True]
    assert max(counters.running) == 2
    assert counters.restarts == 0
    assert len(counters.gone) == 2


@pytest.mark.slow
def test_a_worker_that_is_killed_comes_back() -> None:
    """A crash of one worker is over within two seconds, and counted."""

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)
        (first,) = pids(keeper)
        os.kill(first, signal.SIGKILL)
        await until(lambda: pids(keeper) != [first] and keeper._slots[0].serving)

    counters = keep(python(SERVE), scenario)
    assert counters.restarts == 1
    assert len(counters.gone) == 2


@pytest.mark.slow
def test_a_worker_that_keeps_dying_is_kept_starting() -> None:
    """However often it dies, a worker is started again; the pauses stay below two seconds."""

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: counters.restarts >= 3)
        assert keeper._fatal == ""

    counters = Counters()
    given_up: list[int] = []
    keep(python("sys.exit(1)"), scenario, counters=counters, gone=given_up.append)
    assert set(given_up) == {0}, "its port is left to the others"
    assert max(supervisor._RESTART_SECONDS) < 2
    assert supervisor._RESTART_SECONDS[0] == 0


@pytest.mark.slow
def test_a_worker_that_cannot_start_ends_the_start() -> None:
    """A taken port or a broken CA ends `appliance run` with a message instead of a loop."""

    async def scenario(keeper: Supervisor) -> None:
        await until(keeper._stopping.is_set)

    with pytest.raises(StartError, match="worker 0 could not start; its message stands above"):
        keep(python(f"sys.exit({CANNOT_START})"), scenario)


@pytest.mark.slow
def test_a_worker_that_served_before_is_not_given_up() -> None:
    """What cannot start later, amid a broken edit, is tried again while the others serve."""

    async def scenario(_keeper: Supervisor) -> None:
        await until(lambda: counters.restarts >= 2)

    counters = Counters()
    keep(
        python(f"print('ready', flush=True); time.sleep(0.02); sys.exit({CANNOT_START})"),
        scenario,
        counters=counters,
    )


def test_a_program_that_is_not_there_ends_the_start() -> None:
    """A broken installation is an error in words, and no supervisor without workers."""

    async def scenario(keeper: Supervisor) -> None:
        await until(keeper._stopping.is_set)

    with pytest.raises(StartError, match=r"worker 0 could not be started \(No such file"):
        keep(program("/nonexistent/python"), scenario)


@pytest.mark.slow
def test_a_machine_without_memory_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A restart that the machine refuses for a moment does not leave the place empty for ever."""
    starts = iter([python(SERVE), program("/nonexistent/python")])

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)
        os.kill(pids(keeper)[0], signal.SIGKILL)
        await until(lambda: not keeper._slots[0].serving)
        await until(lambda: keeper._slots[0].serving)

    async def start(place: int) -> Started:
        return await next(starts, python(SERVE))(place)

    keep(start, scenario)
    assert "it is tried again" in caplog.text


@pytest.mark.slow
def test_counters_that_fail_do_not_stop_the_watch() -> None:
    """A full disk under the metrics does not leave a dead worker unnoticed."""

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)
        first = pids(keeper)
        os.kill(first[0], signal.SIGKILL)
        await until(lambda: pids(keeper) != first and keeper._slots[0].serving)

    keep(python(SERVE), scenario, counters=Counters(broken=True))


def test_what_runs_alongside_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in watching for edits is told, and edits are taken up again afterwards."""
    monkeypatch.setattr(supervisor, "_RESTART_SECONDS", (0.0, 0.01))
    calls: list[int] = []

    async def fragile() -> None:
        calls.append(1)
        if calls.count(1) < 3:
            raise ValueError("broken")
        await asyncio.sleep(60)

    async def short() -> None:
        calls.append(0)

    async def scenario(_keeper: Supervisor) -> None:
        await until(lambda: calls.count(1) == 3)

    keep(python(SERVE), scenario, alongside=(fragile, short))
    assert "a task beside the serving failed" in caplog.text
    assert calls.count(0) == 1


@pytest.mark.slow
def test_workers_serve_only_when_all_is_prepared() -> None:
    """No worker starts before the lists are compiled: none opens a port before it can judge."""
    events: list[str] = []

    async def run() -> None:
        keeper = Supervisor(python(SERVE), 1, Counters())

        def prepare() -> None:
            time.sleep(0.1)
            events.append("started early" if pids(keeper) else "prepared")

        def ready() -> None:
            events.append("ready")
            keeper.stop()

        await keeper.run(ready, prepare=prepare)

    asyncio.run(run())
    assert events == ["prepared", "ready"]


def test_a_preparation_that_fails_ends_everything() -> None:
    """A list that cannot be compiled is told by whoever started it, and no worker is left waiting."""

    def prepare() -> None:
        raise ValueError("bad list")

    async def run() -> Supervisor:
        keeper = Supervisor(python(SERVE), 2, Counters())
        with pytest.raises(ValueError, match="bad list"):
            await keeper.run(lambda: None, prepare=prepare)
        return keeper

    assert not any(alive(pid) for pid in pids(asyncio.run(run())))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(number: signal.Signals) -> None:
    """Ctrl-C and systemd's stop end all workers, and leave no process behind."""

    async def run() -> list[int]:
        keeper = Supervisor(python(SERVE), 2, Counters())
        task = asyncio.create_task(keeper.run(lambda: os.kill(os.getpid(), number)))
        await task
        return pids(keeper)

    found = asyncio.run(run())
    assert len(found) == 2
    assert not any(alive(pid) for pid in found)


@pytest.mark.slow
def test_a_worker_that_will_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that hangs does not keep the machine from shutting down."""
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 0.3)
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)

    began = time.monotonic()
    keep(python(stubborn), scenario)
    assert time.monotonic() - began < 10


def test_the_end_of_a_worker_is_said_in_words() -> None:
    """The log names the signal that ended a worker, also one that Python has no name for."""
    assert supervisor._words(-9) == "signal SIGKILL"
    assert supervisor._words(3) == "exit status 3"
    assert supervisor._words(-63) == "signal 63"
