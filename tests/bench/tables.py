"""Building lists in a process of its own, and what that process takes.

What lives only here: the peak memory of a tree of processes, and the little program that imports lists and
compiles them, as `appliance lists import` does. Run as a program: STATE HOW FILE…
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.lists.catalogue import load_catalogue
from appliance.lists.compiler import ensure_compiled
from appliance.lists.importer import Wanted, import_list, import_tree, list_id_of, survey_of
from appliance.lists.paths import Paths
from tests.bench.measure import ROOT

_STEP = 0.02


@dataclass(frozen=True, slots=True)
class Taken:
    """What a tree of processes took: seconds on the clock and on the CPU, and MB at its peak."""

    seconds: float
    cpu: float
    peak: float


def watched(command: list[str], folder: Path = ROOT) -> Taken:
    """Run a program to its end and return what it took; raises where it fails."""
    began, before = time.monotonic(), os.times()
    peak = 0.0
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(_resident(pid) for pid in _tree(process.pid)) / 1e3)
            time.sleep(_STEP)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(time.monotonic() - began, cpu, peak)


def built(state: Path, sources: list[Path], how: str) -> Taken:
    """Import and compile `sources` into a new state folder; `how` is `whole` or `low-memory`."""
    shutil.rmtree(state, ignore_errors=True)
    return watched([sys.executable, "-m", "tests.bench.tables", str(state), how, *map(str, sources)])


def _tree(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [pid, *(below for child in found for below in _tree(int(child)))]
    return [pid]


def _resident(pid: int) -> float:
    """Return the kB that a process holds of its own; what it shares with its parent is counted once."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssFile:")))
    return 0.0


def _build(state: Path, how: str, sources: list[Path]) -> None:
    now, blocklists = datetime.now(UTC), ROOT / "blocklists"
    for number, path in enumerate(sources):
        found = survey_of(path)
        if found.folders:
            import_tree(
                path, found, load_catalogue(blocklists), Paths(state), now=now, compile_all=lambda: None
            )
        else:
            # Several folders have a file of the same name.
            wanted = Wanted(f"{list_id_of(path)}-{number}", path.name, ("pornography",))
            import_list(path, wanted, Paths(state), now=now, compile_all=lambda: None)
    ensure_compiled(blocklists, state, low_memory=how == "low-memory")


if __name__ == "__main__":
    _build(Path(sys.argv[1]), sys.argv[2], [Path(name) for name in sys.argv[3:]])
