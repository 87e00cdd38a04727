"""The lists at full size: how long they take to build, how large they are, and how quickly they answer.

UT1 and the big list for adults (3.34 million lines), and five million made names; beside them, in the same
run, squidGuard from Debian with the same lists, and a plain Python dictionary.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from appliance.lists.entries import shown
from appliance.lists.paths import Paths
from appliance.lists.store import Store
from appliance.lists.table import KeyFile, Table
from tests.bench import squidguard
from tests.bench.made import made
from tests.bench.measure import KEPT, SHARED, Report, give_up, percentile, report
from tests.bench.programs import memory
from tests.bench.tables import Taken, built

UT1 = SHARED / "blocklists" / "ut1" / "blacklists.tar.gz"
BIG = SHARED / "blocklists" / "big-adult" / "blocked.txt.xz"
MADE = int(os.environ.get("BENCH_LISTS_NAMES", "5000000"))
ASKED, WORKERS = 100_000, 3
FOLDER = KEPT / "lists"

_WORKER = """\
import sys, time
from pathlib import Path
from appliance.lists.lists import Lists
from appliance.lists.table import Table
from appliance.model.url import parse_host
sys.stdin.readline()
began = time.perf_counter()
table = Table(Path(sys.argv[1])) if len(sys.argv) > 1 else None
print(time.perf_counter() - began, flush=True)
for line in sys.stdin:
    if line == "ask\\n":
        for at in range(20_000):
            table.prefixes(f"moc.{at}a.www.") if table else None
        print("asked", flush=True)
"""


def main() -> None:
    """Measure, print, keep."""
    for source in (UT1, BIG):
        if not source.is_file():
            give_up(f"{source} is missing; the folder `shared` belongs beside the repository")
    with report("lists") as done:
        _real(done)
        _rest(done)
        _generated(done)


def _real(done: Report) -> None:
    whole, little = FOLDER / "whole", FOLDER / "low-memory"
    taken = built(whole, [UT1, BIG], "whole")
    low = built(little, [UT1, BIG], "low-memory")
    rival = squidguard.build(FOLDER / "squidguard", UT1, BIG)
    names = [key for keys in _keys(whole) for key in keys if "/" not in key and key[0] not in "~@"]
    began = time.process_time()
    known: dict[str, int] = {}
    for key in names:
        known[key] = known.get(key, 0) | 1
    hashed = Taken(0.0, time.process_time() - began, 0.0)
    table = Table(Paths(whole).table)
    rows = [
        _built("this gateway", taken, table.size, len(table)),
        _built("with --low-memory", low, Paths(little).table.stat().st_size, len(table)),
        _built("squidGuard (10 categories)", rival, squidguard.size(FOLDER / "squidguard"), len(table)),
        _built("dictionary (loading alone)", hashed, 0, len(known)),
    ]
    done.table("Building UT1 and the big list (3.34 million lines)", rows)
    done.reach("build, on the clock", taken.seconds, 20, "s")
    done.reach("build, on the CPU", taken.cpu, 20, "s")
    done.reach("build, peak", taken.peak, 600, "MB")
    done.reach("build with --low-memory, peak", low.peak, 250, "MB")
    done.reach("table", table.size / len(table), 12, "bytes a name")
    _opened(done, Paths(whole).table)
    _asked(done, table, known, names)


def _rest(done: Report) -> None:
    """Build all other lists of the folder, of every format, as one table."""
    rest = sorted(path for path in UT1.parents[1].rglob("*") if path.is_file() and path not in {UT1, BIG})
    state = FOLDER / "rest"
    taken = built(state, rest, "whole")
    table = Table(Paths(state).table)
    lines = sum(meta.lines for meta in Store(Paths(state)).all())
    row = _built(f"{len(rest)} files, {lines:,} lines", taken, table.size, len(table))
    done.table("All other lists of the folder as one table", [row])


def _built(who: str, taken: Taken, size: int, keys: int) -> dict[str, Any]:
    return {
        "who": who,
        "seconds": taken.seconds,
        "CPU seconds": taken.cpu,
        "peak MB": taken.peak,
        "MB on disk": size / 1e6,
        "bytes a name": size / keys,
    }


def _keys(state: Path) -> Iterator[KeyFile]:
    store = Store(Paths(state))
    return (KeyFile(store.keys_of(meta)) for meta in store.all())


def _opened(done: Report, table: Path) -> None:
    """Open the table in several processes, ask, and compare their memory with one that has none."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in ([], *[[str(table)]] * WORKERS)
    ]
    seconds = [float(_say(process, "open")) for process in processes]
    for process in processes:
        _say(process, "ask")
    own = [memory(process.pid).own for process in processes]
    for process in processes:
        process.communicate("")
    rows = [
        {"worker": str(at), "opened in ms": took * 1e3, "private MiB more": held - own[0]}
        for at, (took, held) in enumerate(zip(seconds[1:], own[1:], strict=True), 1)
    ]
    done.table("Workers with that table", rows)
    done.reach("worker start, more", max(seconds[1:]), 0.3, "s")
    done.reach("private memory of a worker, more", max(held - own[0] for held in own[1:]), 5, "MiB")


def _say(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return process.stdout.readline()


def _asked(done: Report, table: Table, known: dict[str, int], names: Sequence[str]) -> None:
    dice = random.Random(1)
    listed = [key for key in dice.sample(names, 4 * ASKED) if key.count(".") <= 4][:ASKED]
    listed = [key + "".join(f"{at}w." for at in range(4 - key.count("."))) for key in listed]
    ends = ("com", "net", "org", "de")
    unlisted = [f"{dice.choice(ends)[::-1]}.{_word(dice)}.{_word(dice)}.www." for _ in range(ASKED)]
    rows = []
    for what, keys in (("listed", listed), ("unlisted", unlisted)):
        hosts = [shown(key) for key in keys]
        rival, blocked = squidguard.ask(FOLDER / "squidguard", hosts)
        ours = _rate(table.prefixes, keys)
        rows.append(
            {
                "4 labels, each asked once": what,
                "this gateway /s": ours,
                "squidGuard /s": len(hosts) / rival,
                "dictionary /s": _rate(lambda key: _suffixes(known, key), keys),
                "times squidGuard": ours * rival / len(hosts),
                "blocked by squidGuard": blocked,
            }
        )
        done.reach(f"look-ups, {what}", ours, 250_000, "/s of CPU", least=True)
    done.table("Look-ups a second of CPU time, all suffixes and categories", rows)


def _suffixes(known: dict[str, int], key: str) -> list[int]:
    found = []
    at = key.find(".") + 1
    while at:
        if (mask := known.get(key[:at])) is not None:
            found.append(mask)
        at = key.find(".", at) + 1
    return found


def _rate(ask: Callable[[str], object], keys: Sequence[str]) -> float:
    rates = []
    for _ in range(5):
        began = time.process_time()
        for key in keys:
            ask(key)
        rates.append(len(keys) / (time.process_time() - began))
    return percentile(sorted(rates), 0.5)


def _word(dice: random.Random) -> str:
    return "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(4, 9)))


def _generated(done: Report) -> None:
    source = FOLDER / "made.txt"
    found = made(MADE, 0)
    source.write_text("".join(f"{name}\n" for name in found.listed), encoding="ascii")
    del found
    rows = []
    for how in ("whole", "low-memory"):
        state = FOLDER / f"made-{how}"
        taken = built(state, [source], how)
        table = Table(Paths(state).table)
        dice = random.Random(2)
        keys = [key for keys in _keys(state) for key in keys]
        asked = dice.sample(keys, min(ASKED, len(keys)))
        rows.append(
            _built(how, taken, table.size, len(table)) | {"look-ups /s": _rate(table.prefixes, asked)}
        )
    done.table(f"{MADE:,} made names", rows)


if __name__ == "__main__":
    main()
