"""Tests with real processes that die: what was promised is there, whatever ends a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from appliance.events.schema import prepare
from appliance.events.store import DATABASE, SPILL, EventStore

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

START = """
import asyncio, os, resource, sys
from dataclasses import replace
from pathlib import Path
from appliance.events.errors import NotRecordedError
from appliance.events.store import EventStore, Limits
from tests.doubles.events import BLOCKED, access
state = Path(sys.argv[1])
first = int(sys.argv[2])
"""

COMMITTING = """
async def client(store, number):
    while True:
        one = access(number, BLOCKED)
        await store.commit(one)
        os.write(1, one.reference.encode() + b"\\n")
        number += 10

async def main():
    store = await EventStore.open(state, limits=Limits(patience=0.05, pause=0.05, tidy=0.3))
    await asyncio.gather(*(client(store, first + number) for number in range(10)))

asyncio.run(main())
"""

COUNTED = """
async def main():
    store = await EventStore.open(state, limits=Limits(flush=0.01))
    async def flagged(number):
        for step in range(30):
            await store.commit(access(first + number * 30 + step, BLOCKED))
    async def ordinary():
        for number in range(3000):
            store.queue(access(first + 5000 + number))
            if number % 50 == 0:
                await asyncio.sleep(0)
    await asyncio.gather(ordinary(), *(flagged(number) for number in range(10)))
    await store.close()

asyncio.run(main())
"""

LIMITED = """
async def main():
    store = await EventStore.open(state, limits=Limits(patience=0.05, pause=0.05, tidy=600))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for number in range(first, first + 100_000):
        one = replace(access(number, BLOCKED), search_term="x" * 900)
        try:
            await store.commit(one)
        except NotRecordedError:
            os.write(1, b"refused\\n")
            os._exit(0)
        os.write(1, one.reference.encode() + b"\\n")

asyncio.run(main())
"""

FORGETFUL = """
async def main():
    store = await EventStore.open(state)
    await store.commit(access(first, BLOCKED))
    raise SystemExit(3)

asyncio.run(main())
"""


def start(program: str, state: Path, first: int = 0, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a process that writes into the log of `state`, numbering from `first`."""
    command = [*prefix, sys.executable, "-c", START + program, str(state), str(first)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def references(state: Path) -> list[str]:
    """Return what the log holds, in no order."""
    with closing(sqlite3.connect(state / DATABASE)) as db:
        return [row[0] for row in db.execute("SELECT reference FROM access")]


def promised(output: bytes) -> set[str]:
    """Return what was told to a caller: whole lines only, since the last may be torn."""
    return set(output.decode().split("\n")[:-1])


def take_in(state: Path) -> None:
    """Open the log as the next worker does, and close it again."""

    async def opened() -> None:
        await (await EventStore.open(state)).close()

    asyncio.run(opened())


def check_whole(state: Path) -> None:
    """Fail if the database is damaged."""
    with closing(sqlite3.connect(state / DATABASE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3, 0.7])
def test_whatever_was_committed_survives_the_kill(tmp_path: Path, seconds: float) -> None:
    """A worker that is killed between commit and answer has lost nothing that it promised."""
    process = start(COMMITTING, tmp_path)
    assert process.stdout is not None
    head = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    tail, _ = process.communicate()
    take_in(tmp_path)
    found = references(tmp_path)
    assert promised(head + tail) <= set(found)
    assert len(found) == len(set(found))
    check_whole(tmp_path)


def test_the_spilled_events_of_a_killed_worker_are_inherited(tmp_path: Path) -> None:
    """With the database held by another and the worker killed, the next worker still records everything."""
    prepare(tmp_path / DATABASE)
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        process = start(COMMITTING, tmp_path)
        assert process.stdout is not None
        head = b"".join(process.stdout.readline() for _ in range(200))
        process.send_signal(signal.SIGKILL)
        tail, _ = process.communicate()
        assert references(tmp_path) == []
        db.execute("ROLLBACK")
    take_in(tmp_path)
    found = references(tmp_path)
    assert promised(head + tail) <= set(found)
    assert len(found) == len(set(found))
    assert list((tmp_path / SPILL).glob("*.jsonl")) == []


def test_several_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four workers in a busy hour write one complete record, each event once."""
    processes = [start(COUNTED, tmp_path, first * 10_000) for first in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    take_in(tmp_path)
    found = references(tmp_path)
    assert (len(found), len(set(found))) == (4 * 3_300, 4 * 3_300)
    check_whole(tmp_path)


def test_a_limit_on_files_ends_in_the_spill_and_then_in_a_refusal(tmp_path: Path) -> None:
    """First the database takes no more, then the spill file: every event is either kept or refused."""
    process = start(LIMITED, tmp_path)
    output, _ = process.communicate(timeout=60)
    told = promised(output)
    assert "refused" in told
    assert list((tmp_path / SPILL).glob("*.jsonl"))
    kept = told - {"refused"}
    assert len(references(tmp_path)) < len(kept)
    take_in(tmp_path)
    assert kept <= set(references(tmp_path))


def test_a_disk_that_is_really_full_loses_no_promise(tmp_path: Path) -> None:
    """On a full disk the reserve takes the last flagged events, then callers hear "no"; nothing is torn."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # A file system of 4 MiB in a mount namespace of its own; what is on it is copied out at the end.
    script = f'mount -t tmpfs -o size=4m none "{disk}" && "$@"; cp -a "{disk}/." "{tmp_path}/copy"'
    program = LIMITED.replace("400_000, 400_000", "-1, -1")
    (tmp_path / "copy").mkdir()
    process = start(program, disk, prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    output, _ = process.communicate(timeout=60)
    told = promised(output)
    assert "refused" in told
    state = tmp_path / "copy"
    assert not (state / SPILL / "reserve").exists()
    assert list((state / SPILL).glob("*.jsonl"))
    take_in(state)
    assert told - {"refused"} <= set(references(state))
    check_whole(state)


def test_a_worker_that_fails_without_closing_does_end(tmp_path: Path) -> None:
    """A worker that dies of a bug must go away, or the supervisor could not start it again."""
    process = start(FORGETFUL, tmp_path)
    assert process.wait(20) == 3
    process.communicate()
    assert references(tmp_path) == ["REF-00000"]


def test_the_lock_of_a_spill_file_ends_with_its_process(tmp_path: Path) -> None:
    """A worker that lives keeps its spill file to itself, even while another tidies."""
    prepare(tmp_path / DATABASE)
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        process = start(COMMITTING.replace("tidy=0.3", "tidy=600"), tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGSTOP)
        db.execute("ROLLBACK")
    take_in(tmp_path)
    assert list((tmp_path / SPILL).glob("*.jsonl"))
    process.kill()
    process.communicate()
    take_in(tmp_path)
    assert list((tmp_path / SPILL).glob("*.jsonl")) == []
