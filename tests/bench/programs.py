"""Programs that a benchmark starts, looks at from outside, and ends.

What lives only here: starting and ending them, and what the kernel says of their CPU time and memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench.measure import ROOT, give_up
from tests.doubles.running import free_port

PYTHON_OF_OURS = "GATEWAY_PYTHON"
"""Names another Python to run ours by: how one was built decides what a request costs."""
PATIENCE = 60.0
"""Seconds after which a program that has not done what it should is given up."""
_STEP = 0.005
_MEGABYTE = 1024.0  # the kernel counts in KiB
_SCHEDULED = 2  # which clock of a process: the time that it ran


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process holds, in MiB: `shared_fairly` (PSS) counts a shared page by its sharers."""

    resident: float
    shared_fairly: float
    own: float


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a process maps one file, in MiB: `copied` are pages that it has for itself alone by writing."""

    size: float
    resident: float
    shared_fairly: float
    copied: float


@contextlib.contextmanager
def started(command: Sequence[str], said: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, with its output in the file `said`; end it in any case."""
    said.parent.mkdir(parents=True, exist_ok=True)
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, **more
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End one program that was started here, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def until[T](ask: Callable[[], T], process: subprocess.Popen[bytes], said: Path, what: str) -> T:
    """Ask until the answer is true, and return it; give up when it never is, or the program has ended."""
    finish = time.monotonic() + PATIENCE
    while time.monotonic() < finish and process.poll() is None:
        if answer := ask():
            return answer
        time.sleep(_STEP)
    tail = said.read_text(encoding="utf-8", errors="replace")[-2000:]
    return give_up(f"did not happen within {PATIENCE:g} s: {what}. The program said:\n{tail}")


def answers(address: tuple[str, int]) -> bool:
    """Tell whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(address, 1):
        return True
    return False


def appliance(*arguments: str, config: Path) -> list[str]:
    """Return the command line of one verb, run by PYTHON_OF_OURS where that is set."""
    python = os.environ.get(PYTHON_OF_OURS, sys.executable)
    return [python, "-m", "appliance", *arguments, "--config", str(config)]


def configure(folder: Path, state: Path, **gateway: Any) -> Path:
    """Write a configuration with the shipped policy and the given lists; return the file.

    Keys of `gateway` are keys of its section `gateway`, over what a benchmark usually wants.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = {"127.0.0.1": "ks2", "127.0.0.2": "eyfs", "127.0.0.3": "ks1", "127.0.0.4": "staff"}
    networks = [
        {"network": f"{address}/32", "group": group, "name": group} for address, group in groups.items()
    ]
    settings = {
        "school": {"name": "Benchmark", "set": "westways"},
        "paths": {
            "state": str(state),
            "profiles": str(ROOT / "profiles"),
            "blocklists": str(ROOT / "blocklists"),
        },
        "gateway": {"listen": f"127.0.0.1:{free_port()}", "workers": 1, "floor_hits": {"hits": 0}} | gateway,
        "identity": {"networks": networks},
        "metrics": {"listen": f"127.0.0.1:{free_port()}"},
    }
    target = folder / "appliance.yaml"
    target.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return target


def cpu_seconds(pid: int) -> float:
    """Return how long a process, with all its threads, has run on a CPU."""
    return time.clock_gettime(~pid << 3 | _SCHEDULED)  # as clock_getcpuclockid(3) makes it


def memory(pid: int) -> Memory:
    """Return what a process holds now."""
    values = _kibibytes(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines())
    own = values["Private_Clean"] + values["Private_Dirty"]
    return Memory(values["Rss"] / _MEGABYTE, values["Pss"] / _MEGABYTE, own / _MEGABYTE)


def mapping(pid: int, file: Path) -> Mapping:
    """Return how a process maps `file`, also one that has been replaced since; zeros where it does not."""
    mapped: list[str] = []
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        head = line.split(":", 1)[0]
        if "-" in head:  # an address range begins the next mapping
            inside = line.removesuffix(" (deleted)").endswith(str(file.resolve()))
        elif inside:
            mapped.append(line)
    values = _kibibytes(mapped)
    return Mapping(*(values.get(name, 0) / _MEGABYTE for name in ("Size", "Rss", "Pss", "Private_Dirty")))


def _kibibytes(lines: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            found[name] = found.get(name, 0) + int(rest[:-3])
    return found
