from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import util
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from appliance import handover
from appliance.handover import VARIABLE, Alive, Handed, received, see_off, sound


def test_a_first_program_begins_with_nothing() -> None:
    """Started by hand or by systemd, the program opens its ports itself."""
    handed = received()
    assert (handed.again, handed.sockets, handed.workers) == (False, [], [])
    assert not wait([handed.alive.reading], 0)
    handed.alive.close()


class ExecutedError(Exception):
    """What `exec` was asked for."""

    def __init__(self, program: str, command: Sequence[str], environment: dict[str, str]) -> None:
        super().__init__(program)
        self.command, self.environment = command, environment


def test_the_next_program_gets_the_sockets_and_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same process, same sockets: who waits at the door meets the new program, and no helper gets them."""

    def execve(program: str, command: Sequence[str], environment: dict[str, str]) -> None:
        raise ExecutedError(program, command, environment)

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(util, "get_temp_dir", lambda: str(tmp_path / "forks"))
    (tmp_path / "forks").mkdir()
    listener = socket.create_server(("127.0.0.1", 0))
    address, before = listener.getsockname(), Handed(sockets=[listener], workers=[7, 8])
    with pytest.raises(ExecutedError) as asked:
        handover.start_again(before)
    assert asked.value.command == [sys.executable, *sys.orig_argv[1:]]
    assert os.get_inheritable(listener.fileno())
    monkeypatch.setenv(VARIABLE, asked.value.environment[VARIABLE])
    listener.detach()
    after = received()
    assert VARIABLE not in os.environ, "what this program starts is not told"
    assert not (tmp_path / "forks").exists()
    assert (after.again, after.workers) == (True, [7, 8])
    assert [each.getsockname() for each in after.sockets] == [address]
    assert not any(os.get_inheritable(number) for number in (*after.alive.ends, after.sockets[0].fileno()))
    assert after.alive.ends == before.alive.ends
    after.sockets[0].close()
    before.alive.close()
    with pytest.raises(OSError, match="Bad file"):
        after.alive.close()
    after.alive.reading._handle = after.alive._writing._handle = None  # type: ignore[attr-defined]  # closed


def test_workers_learn_that_their_supervisor_has_gone() -> None:
    """The pipe that is handed on can be read only once nobody has it any more."""
    alive = Alive()
    reading = os.dup(alive.ends[0])
    alive.close()
    assert os.read(reading, 1) == b""
    os.close(reading)


def worker(name: str, *lines: str) -> subprocess.Popen[bytes]:
    """Start a process of that name."""
    code = ["import signal, sys, time", f"open('/proc/self/comm', 'w').write({name!r})", *lines]
    code += ["print(flush=True)", "time.sleep(60)"]
    started = subprocess.Popen([sys.executable, "-ISc", "\n".join(code)], stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    return started


@pytest.mark.slow
def test_old_workers_are_asked_to_leave_and_seen_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves is waited for, one that does not is ended; a stranger with such a number is not."""
    monkeypatch.setattr(handover, "_GRACE_SECONDS", 0.1)
    willing, stranger = worker("worker-0"), worker("editor")
    stubborn = worker("worker-1", *(f"signal.signal({n}, signal.SIG_IGN)" for n in (10, 15)))
    gone: list[int] = []
    both = [willing.pid, stubborn.pid]
    handover._tell(stranger.pid, signal.SIGUSR1)

    async def run() -> None:
        await see_off(Handed(workers=both, children=[*both, 2**22 + 1]), 0.1, gone.append)

    asyncio.run(run())
    assert sorted(gone) == sorted(both)
    assert stranger.poll() is None
    for each in (willing, stubborn):
        assert not Path(f"/proc/{each.pid}").exists(), "it is taken note of"
    stranger.send_signal(signal.SIGKILL)
    for each in (willing, stubborn, stranger):
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


@pytest.mark.parametrize(("command", "good"), [("true", True), ("false", False), ("sleep 60", False)])
async def test_what_is_wrong_is_found_before_anything_changes(
    command: str, *, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new program's own check reads the files first; one that never ends counts as a failure."""
    monkeypatch.setattr(handover, "_CHECK_SECONDS", 5 if command != "sleep 60" else 0.01)
    assert await sound(command.split()) is good
