"""How long it takes to judge a million logged decisions again: at most 60 seconds on two cores.

Run it alone: `python tests/bench/bench_replay.py [DECISIONS]`. The log is made: listed and unlisted hosts in
equal parts, each address asked for once. Prints seconds on the clock and of CPU, of all processes.
"""

from __future__ import annotations

import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from appliance import assembly
from appliance.changing import Question, replay
from appliance.events.record import Record, from_access
from appliance.events.rows import ADD_ACCESS, ADD_VERDICT, ADD_WHO, access_row, verdict_key, who_key
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.lists.compiler import compile_lists
from appliance.settings import load_settings
from tests.doubles.events import access
from tests.doubles.school import ROOT, configuration

REACH = 60.0
RULE = "rules:\n  gambling: {rating: acceptable, because: A lesson about money., source: W:472}\n"


def fill(state: Path, count: int) -> None:
    """Put so many accesses into the log."""
    names = [
        line.strip()
        for file in sorted((ROOT / "blocklists/demo").glob("*.txt"))
        for line in file.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    dice = random.Random(6)
    now = int(time.time() * 1000)
    first = from_access(access(1))._replace(time=now - 3_600_000)
    prepare(state / DATABASE)
    with closing(sqlite3.connect(state / DATABASE)) as db:
        db.execute(ADD_WHO, who_key(first))
        db.execute(ADD_VERDICT, verdict_key(first))
        db.executemany(ADD_ACCESS, _rows(first, names, dice, count))
        db.commit()


def _rows(first: Record, names: list[str], dice: random.Random, count: int) -> Iterator[tuple[Any, ...]]:
    # One by one: a million of them in memory would be half of what a small machine has.
    for number in range(count):
        host = dice.choice(names) if number % 2 else f"site{number}.example"
        one = first._replace(host=host, url=f"https://{host}/page/{number}", reference=str(number))
        yield access_row(one, 1, 1)


def used() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def main() -> int:
    """Measure, print, and return 1 where the reach was missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        config = configuration(Path(name), own_files=True)
        settings = load_settings(config).settings
        settings.state.mkdir()
        compile_lists(settings.blocklists, settings.state, time.time())
        store = assembly.snapshots(settings)
        base = store.publish().version
        profile = Path(name) / "profiles/westways/ks2.yaml"
        profile.write_text(profile.read_text() + RULE)
        version = store.keep().version
        fill(settings.state, count)
        clock, began = time.perf_counter(), used()
        question = Question(config, settings.state, base, version, ())
        found = replay(question, 1, lambda done, whole: print(f"\r{done}/{whole}", end="", flush=True))
        clock, cpu = time.perf_counter() - clock, used() - began
    print(
        f"\nreplay of {found['judged']}: {clock:.1f} s on the clock, {cpu:.1f} s of CPU; reach {REACH:.0f} s"
    )
    print(f"newly allowed: {found['newly_allowed']['requests']}")
    return int(clock > REACH)


if __name__ == "__main__":
    sys.exit(main())
