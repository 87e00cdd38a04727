"""How many addresses `appliance explain -` judges in a second, with UT1 compiled.

The addresses come on standard input and the answers are counted as they come out, so the whole way is
measured: reading, parsing, judging and writing JSON. The start of the command is told apart.
"""

from __future__ import annotations

import json
import lzma
import random
import statistics
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from tests.bench import states
from tests.bench.measure import KEPT, ROOT, SHARED, give_up, report
from tests.bench.programs import appliance, configure, end

ADDRESSES, TIMES = 20_000, 3
REACH = 2000.0
"""Addresses a second."""
POPULAR = SHARED / "popular" / "tranco-100k-odd-ranks.csv.xz"
FOLDERS = ("gambling", "games", "malware", "shopping", "social_networks", "strict_redirector")

_ENOUGH = 120.0
"""Seconds after which a run is given up."""


def main() -> None:
    """Measure, print, keep."""
    with report("explain") as done:
        config = configure(KEPT / "explain", states.with_ut1())
        asked = _addresses()
        rows = [_explained(config, asked) for _ in range(TIMES)]
        done.table(f"explain -, {ADDRESSES:,} addresses, UT1 compiled", rows)
        rate = statistics.median(row["addresses a second"] for row in rows)
        done.reach("explain, addresses a second (median run)", rate, REACH, "1/s", least=True)
        done.note("the rate counts from the first answer to the last; the start is a column of its own")


def _explained(config: Path, asked: list[str]) -> dict[str, Any]:
    began = time.perf_counter()
    command = appliance("explain", "-", "--as", "ks2", "--at", "2026-11-23T10:15", config=config)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    feeder = threading.Thread(target=_feed, args=(process.stdin, asked), daemon=True)
    watchdog = threading.Timer(_ENOUGH, process.kill)
    try:
        feeder.start()
        watchdog.start()
        first = process.stdout.readline()
        started = time.perf_counter()
        lines = [first, *process.stdout]
        ended = time.perf_counter()
        process.wait(10)
    finally:
        watchdog.cancel()
        end(process)
    if process.returncode != 0 or len(lines) != len(asked):
        give_up(f"explain answered {len(lines)} of {len(asked)} addresses, exit status {process.returncode}")
    blocked = sum(json.loads(line)["action"] == "block" for line in lines)
    return {
        "run": "explain - --as ks2",
        "addresses a second": (len(lines) - 1) / (ended - started),
        "microseconds each": (ended - started) / (len(lines) - 1) * 1e6,
        "seconds to the first answer": started - began,
        "blocked": blocked,
    }


def _feed(stream: IO[bytes], asked: list[str]) -> None:
    try:
        with stream:
            stream.write("".join(f"{each}\n" for each in asked).encode())
    except BrokenPipeError:
        pass  # the command has ended early, and the caller says so


def _addresses() -> list[str]:
    """Return addresses half of which are popular sites and half are listed, in one order each time."""
    for source in (POPULAR, states.UT1):
        if not source.is_file():
            give_up(f"{source} is missing; the folder `shared` belongs beside the repository")
    dice = random.Random(7)
    with lzma.open(POPULAR, "rt", encoding="utf-8") as file:
        popular = [line.strip().split(",")[-1] for line in file]
    listed: list[str] = []
    with tarfile.open(states.UT1) as archive:
        for folder in FOLDERS:
            member = archive.extractfile(f"blacklists/{folder}/domains")
            assert member is not None
            listed += member.read().decode("utf-8", "replace").split()
    half = ADDRESSES // 2
    hosts = dice.sample(popular, half) + [f"www.{name}" for name in dice.sample(listed, ADDRESSES - half)]
    dice.shuffle(hosts)
    return [f"https://{host}/page/{at}?q=school" for at, host in enumerate(hosts)]


if __name__ == "__main__":
    main()
