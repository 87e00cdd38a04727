"""How long the gateway needs until it answers, and how much memory a worker takes.

Start: from starting `appliance run` to the first judged answer through the proxy, with UT1 compiled. Memory:
of two workers with UT1 and a million made names, when fresh and after some thousand judged requests; and
whether they share the table of names, page by page, as the kernel counts it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from appliance.lists.paths import Paths
from appliance.settings import load_settings
from tests.bench import states
from tests.bench.measure import KEPT, ROOT, Report, give_up, report
from tests.bench.programs import (
    appliance,
    configure,
    cpu_seconds,
    mapping,
    memory,
    started,
    until,
)
from tests.doubles.running import below, workers_of

STARTS, WORKERS, ASKED, IDLE_SECONDS = 5, 2, 4000, 5.0
START_REACH, MEMORY_REACH = 3.0, 120.0
"""Seconds; MiB a worker."""

_BLOCKED = b"GET http://gambling.example/ HTTP/1.1\r\nHost: gambling.example\r\n\r\n"
_IMPORTS = {
    "python itself": "pass",
    "the command line": "import appliance.cli.main",
    "and what run needs": "import appliance.cli.main, appliance.processes",
    "mitmproxy's proxy alone": "import mitmproxy.addons.proxyserver",
}


def main() -> None:
    """Measure, print, keep."""
    with report("start") as done:
        _starts(done)
        _imports(done)
        _memories(done)


def _starts(done: Report) -> None:
    state = states.with_ut1()
    rows = [_start(at, state) for at in range(STARTS + 1)]
    # The first makes what only a first start makes (the CA, keys, the policy in force, the log).
    done.table("Start of `appliance run` with UT1 compiled (seconds)", rows)
    later = [row["first answer"] for row in rows[1:]]
    done.reach("start to the first judged answer (median)", statistics.median(later), START_REACH, "s")


def _start(at: int, state: Path) -> dict[str, Any]:
    folder = KEPT / "start"
    config = configure(folder, state)
    said = folder / "run.log"
    listen = load_settings(config).settings.gateway.listen
    assert listen is not None
    began = time.perf_counter()
    with started(appliance("run", config=config), said) as process:
        until(lambda: _asked(listen), process, said, "a first answer")
        seconds = time.perf_counter() - began
        until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
        cpu = _cpu_of_tree(process)
    return {"start": "the very first" if at == 0 else f"{at}", "first answer": seconds, "CPU of all": cpu}


def _asked(address: tuple[str, int], request: bytes = _BLOCKED) -> bool:
    """Ask through the proxy for a listed site; true when the gateway blocked it."""
    with contextlib.suppress(OSError), socket.create_connection(address, 5) as client:
        client.sendall(request)
        return client.recv(4096).startswith(b"HTTP/1.1 403")
    return False


def _cpu_of_tree(process: subprocess.Popen[bytes]) -> float:
    ticks = 0
    for pid in (process.pid, *below(process.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))  # its own time, and that of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


def _imports(done: Report) -> None:
    rows = []
    for what, code in _IMPORTS.items():
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
            taken.append(time.perf_counter() - began)
        rows.append({"what is imported": what, "seconds (best of 3)": min(taken)})
    done.table("What of a start is importing", rows)


def _memories(done: Report) -> None:
    state = states.with_both()
    folder = KEPT / "memory"
    config = configure(folder, state, workers=WORKERS)
    listen = load_settings(config).settings.gateway.listen
    assert listen is not None
    said = folder / "run.log"
    with started(appliance("run", config=config), said) as process:
        until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
        fresh = _memory(process.pid, state)
        idle = _idle(process.pid)
        _ask_much(listen)
        used = _memory(process.pid, state)
    rows = [{"when": when} | row for when, each in (("fresh", fresh), ("used", used)) for row in each]
    done.table(f"Memory with UT1 and {states.NAMES:,} made names (MiB); used: {ASKED:,} requests", rows)
    done.table(f"CPU while nobody asks for anything, {IDLE_SECONDS:g} s", idle)
    worst = max((row for row in rows if row["process"] == "worker"), key=lambda row: row["PSS"])
    done.reach("memory of a worker (PSS, worst)", worst["PSS"], MEMORY_REACH, "MiB")
    done.reach(
        "memory of a worker (RSS, worst)",
        max(row["RSS"] for row in used if row["process"] == "worker"),
        MEMORY_REACH,
        "MiB",
    )
    done.reach("table copied into a worker", max(row["copied"] for row in rows), 0.0, "MiB")


def _memory(supervisor: int, state: Path) -> list[dict[str, Any]]:
    rows = []
    table = Paths(state).table
    for pid in (supervisor, *workers_of(supervisor)):
        held, mapped = memory(pid), mapping(pid, table)
        # The worker in reserve opens the lists only when it takes another's place.
        kind = "supervisor" if pid == supervisor else "worker" if mapped.size else "in reserve"
        rows.append(
            {
                "process": kind,
                "RSS": held.resident,
                "PSS": held.shared_fairly,
                "its own": held.own,
                "table": mapped.size,
                "table's RSS": mapped.resident,
                "table's PSS": mapped.shared_fairly,
                "copied": mapped.copied,
            }
        )
    serving = [row for row in rows if row["process"] == "worker"]
    if len(serving) != WORKERS:
        give_up(f"{len(serving)} workers map {table} instead of {WORKERS}")
    return rows


def _idle(supervisor: int) -> list[dict[str, Any]]:
    pids = (supervisor, *workers_of(supervisor))
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(IDLE_SECONDS)
    used = [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
    return [
        {"process": f"worker {at}" if at else "supervisor", "% of a core": seconds / IDLE_SECONDS * 100}
        for at, seconds in enumerate(used)
    ]


def _ask_much(address: tuple[str, int]) -> None:
    """Ask for many listed sites over some connections at a time, so that every cache has something."""
    names = states.names().listed
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(_ask_some, address, names[at : at + 50]) for at in range(0, ASKED, 50)]:
            done.result(120)


def _ask_some(address: tuple[str, int], names: Sequence[str]) -> None:
    with socket.create_connection(address, 20) as client:
        for name in names:
            client.sendall(f"GET http://{name}/ HTTP/1.1\r\nHost: {name}\r\nAccept: image/*\r\n\r\n".encode())
            if not _read_answer(client):
                give_up("the gateway closed a connection that was in use")


def _read_answer(client: socket.socket) -> bool:
    """Read one answer with its body; false when the connection has ended."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = client.recv(65536)
        if not more:
            return False
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        more = client.recv(65536)
        if not more:
            return False
        missing -= len(more)
    return True


if __name__ == "__main__":
    main()
