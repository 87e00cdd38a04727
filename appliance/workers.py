"""Worker processes: forked from one process that has loaded everything, so that each is there at once.

What lives only here: how a process becomes a worker. Loading mitmproxy takes longer than anything else at
the start; a fork server (Python's own, see `multiprocessing`) does it once, while the supervisor reads the
files. A worker that dies is replaced in the time of a fork, and workers share the memory of what is loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
from collections.abc import Sequence
from multiprocessing import connection, forkserver, util
from pathlib import Path

import click

from appliance.supervisor import LEAVE, READY

_LOADED = "appliance.loaded"
"""The module that the fork server loads before the first fork."""


def load() -> None:
    """Begin to load what workers need, in a process of its own; returns at once.

    Without it the first `start` does so, later.
    """
    Path(util.get_temp_dir()).mkdir(mode=0o700, exist_ok=True)  # remembered, and perhaps tidied away since
    multiprocessing.set_forkserver_preload([_LOADED])
    forkserver.ensure_running()


def unload() -> None:
    """End the process that `load` began, if any; workers that it forked count as ended, and end."""
    server = vars(forkserver)["_forkserver"]  # nothing public ends it: asked kindly, it waits for its workers
    known = vars(server)
    if known["_forkserver_pid"] is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(known["_forkserver_pid"], signal.SIGTERM)
    with contextlib.suppress(FileNotFoundError):  # its socket may be gone, or the whole folder
        server._stop()  # noqa: SLF001 - waits for it and forgets it, so that the next start makes another


class Worker:
    """A worker process, as its supervisor sees it."""

    def __init__(self, process: multiprocessing.process.BaseProcess, said: connection.Connection) -> None:
        self._process = process
        self._said = said
        self.pid = process.pid or 0
        # A process id can be given to somebody else once the worker has ended; this cannot.
        self._handle = os.pidfd_open(self.pid)
        self._ended: asyncio.Task[int] | None = None

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    async def ready(self) -> bool:
        """Wait until it serves; False when it ends instead."""
        await _readable(self._said.fileno())
        try:
            return bool(self._said.recv_bytes() == READY)
        except (EOFError, OSError):
            return False

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit status."""
        self._ended = self._ended or asyncio.ensure_future(self._end())
        return await asyncio.shield(self._ended)

    async def _end(self) -> int:
        await _readable(self._process.sentinel)
        # When the fork server is lost, its workers count as ended, since nobody would hear of their end
        # any more. Then they must end.
        self.kill()
        status = self._process.exitcode
        return 1 if status is None else status

    def leave(self) -> None:
        """Ask it to let nobody in any more, and to end when nobody is left."""
        self._send(LEAVE)

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def close(self) -> None:
        """Let go of what belongs to a worker that has ended."""
        os.close(self._handle)
        self._said.close()
        self._process.close()

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)


async def start(
    config: Path, place: int, sockets: Sequence[socket.socket], alive: connection.Connection
) -> Worker:
    """Start the worker of one place with the settings of `config`; OSError if there can be none now.

    It listens on `sockets`, and ends when `alive` can be read: its other end is its supervisor's.
    """
    load()  # starts the fork server again if it was lost
    arguments = config, place, tuple(sockets), alive
    try:
        return await asyncio.to_thread(_fork, *arguments)
    except (FileNotFoundError, ConnectionRefusedError):
        # Somebody tidied /tmp, where the fork server is reached. Nobody can reach this one again: a new one
        # takes its place, and what the old one forked is replaced as well, since its end would go unheard.
        click.echo("appliance: what starts workers cannot be reached any more; it is started anew", err=True)
        unload()
        load()
        return await asyncio.to_thread(_fork, *arguments)


def _fork(
    config: Path, place: int, sockets: tuple[socket.socket, ...], alive: connection.Connection
) -> Worker:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with theirs, contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        context = multiprocessing.get_context("forkserver")
        process = context.Process(
            target=_work, args=(str(config), place, theirs, alive, sockets), name=f"worker-{place}"
        )
        try:
            process.start()
            made = Worker(process, ours)
        except EOFError as error:  # the fork server ended before it could fork
            raise OSError(f"the process that starts workers has ended ({error})") from error
        undo.pop_all()
        return made


def _work(
    config: str,
    place: int,
    said: connection.Connection,
    alive: connection.Connection,
    sockets: tuple[socket.socket, ...],
) -> None:
    # What a forked worker does. Its name is what `ps -o pid,comm` and `top` show.
    Path("/proc/self/comm").write_text(f"worker-{place}", encoding="ascii")
    # Ctrl-C reaches us too, and a terminal that closes; the supervisor ends us, in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from appliance import serving  # noqa: PLC0415 - loaded already where it was forked

    raise SystemExit(serving.serve_one(Path(config), place, serving.Under(said, alive, sockets)))


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    loop.add_reader(descriptor, lambda: None if told.done() else told.set_result(None))
    try:
        await told
    finally:
        loop.remove_reader(descriptor)
