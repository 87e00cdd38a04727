"""The gateway beside Squid, e2guardian, HAProxy and stock mitmdump, in one run, on the same sites.

Three network namespaces: pupils, the contender, the sites (nginx). Ours runs with the shipped policy, a
million made names listed, log and metrics on. What counts are ratios of CPU seconds: the contenders take
turns in each repeat, and the best of the repeats is compared. Needs root, and the programs that
`deploy/bin/system-packages bench` installs.

    bench_gateway.py --secs 2 --repeats 2 --contenders "this gateway,squid" --workloads new,keep-alive
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.bench.client import NotAnsweredError
from tests.bench.lab import Lab, built
from tests.bench.lab_contenders import (
    CONTENDERS,
    E2GUARDIAN,
    FULL,
    HAPROXY,
    MITMDUMP,
    OURS,
    SQUID,
    STRAIGHT,
    TWO,
)
from tests.bench.lab_pages import Browser
from tests.bench.lab_workloads import PASSING, WORKLOADS, Bench, NotCarriedError
from tests.bench.measure import KEPT, Report, report

type Found = dict[str, list[dict[str, float]]]

MOST = {"keep-alive/s", "new connections/s", "spliced MB/s", "opened MB/s"}
"""Figures of which more is better."""
_ONLY = {  # who need not carry everything
    OURS: tuple(each for each in WORKLOADS if each != "http2"),
    STRAIGHT: ("latency",),
    TWO: ("new", "keep-alive"),
    FULL: ("page", "http2", "html"),
    HAPROXY: PASSING,
    SQUID: tuple(each for each in WORKLOADS if each != "http2"),
    E2GUARDIAN: ("new", "keep-alive", "page", "html", "opened-bytes", "latency"),
    MITMDUMP: ("new", "keep-alive", "page", "http2", "html", "opened-bytes"),
}
_RATIOS = (  # figure, title, limit, compared with
    ("keep-alive", "keep-alive requests of 1 KB, CPU", 1.0, SQUID),
    ("keep-alive", "keep-alive requests of 1 KB, CPU", 0.5, E2GUARDIAN),
    ("new connection", "new connections, CPU", 0.6, SQUID),
    ("new connection", "new connections, CPU", 0.6, E2GUARDIAN),
    ("page", "model page, CPU", 0.6, SQUID),
    ("spliced connection", "spliced connections, CPU", 1.2, SQUID),
    ("spliced per GB", "spliced bytes, CPU per GB", 1.0, HAPROXY),
    ("latency p50", "answer on a kept connection, p50", 1.2, SQUID),
    ("latency p99", "answer on a kept connection, p99", 1.2, SQUID),
)
_FULL_RATIOS = (  # of the full lane beside mitmdump
    ("http2", "HTTP/2 requests, CPU", 0.5),
    ("html", "HTML pages of 32 KB in the full lane, CPU", 0.5),
)
_RATES = (
    ("spliced MB/s", "spliced 100 MB, four at once, MB/s", 1.0),
    ("opened MB/s", "opened 100 MB, MB/s", 1.2),
)
_MEMORY_MOST, _MEMORY_GROWTH = 130.0, 4.0


def main(arguments: Sequence[str]) -> None:
    """Measure, print, keep."""
    options = options_of(arguments)
    with report("gateway") as done, built(KEPT / "gateway") as lab:
        found: Found = {name: [] for name in options.contenders}
        for at in range(options.repeats):
            for name in options.contenders:
                wanted = [each for each in _ONLY.get(name, tuple(WORKLOADS)) if each in options.workloads]
                if wanted:
                    found[name].append(_measured(done, lab, name, wanted, options.secs))
                    _progress(at, name, found[name][-1])
        _print(done, found)


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what a command line asks for; SystemExit with what there is where it asks for more."""

    def names(known: Sequence[str]) -> object:
        def read(text: str) -> list[str]:
            wanted = text.split(",")
            if unknown := set(wanted) - set(known):
                raise argparse.ArgumentTypeError(f"not {', '.join(sorted(unknown))}, but {', '.join(known)}")
            return [name for name in known if name in wanted]

        return read

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--secs", type=int, default=3, help="length of one workload (default 3)")
    parser.add_argument("--repeats", type=int, default=3, help="how often everybody gets a turn (default 3)")
    for option, known in (("--contenders", [*CONTENDERS]), ("--workloads", [*WORKLOADS])):
        parser.add_argument(option, type=names(known), default=known, help=", ".join(known))  # type: ignore[arg-type] # a function is what it wants
    return parser.parse_args(arguments)


def _measured(done: Report, lab: Lab, name: str, wanted: Sequence[str], seconds: int) -> dict[str, float]:
    contender = CONTENDERS[name]
    command, root = contender.make(lab)
    with lab.contender(name.replace(" ", "-"), command, root) as running:
        bench = Bench(lab, running, contender.http2, contender.ours, seconds)
        browser = Browser(lab, running, contender.http2)
        if command is not None and contender.opens and not browser.splices():
            _once(done, f"{name} opens the clinic's encryption as well: what is called spliced is not")
        for each in wanted:
            try:
                WORKLOADS[each](bench)
            except (NotCarriedError, NotAnsweredError, OSError) as error:
                _once(done, f"{each} was not carried: {error}")
        return bench.found


def _once(done: Report, text: str) -> None:
    if text not in done.notes:
        done.note(text)


def _progress(at: int, name: str, found: dict[str, float]) -> None:
    figures = " ".join(f"{figure}={value:.3g}" for figure, value in found.items())
    print(f"  repeat {at + 1}, {name}: {figures}", file=sys.stderr, flush=True)


def best(found: Found, name: str, figure: str) -> float | None:
    """Return the best of a contender's repeats, or None where it has no such figure."""
    values = [each[figure] for each in found.get(name, []) if figure in each]
    if not values:
        return None
    return max(values) if figure in MOST else min(values)


def _print(done: Report, found: Found) -> None:
    figures = list(dict.fromkeys(figure for each in found.values() for one in each for figure in one))
    done.table(
        "Best of the repeats: CPU seconds per 1,000 (page: ms of CPU each), ms, MB/s, MiB",
        [
            {"figure": figure} | {name: best(found, name, figure) for name in found if found[name]}
            for figure in figures
        ],
    )
    for figure, title, limit, other in _RATIOS:
        ours, theirs = best(found, OURS, figure), best(found, other, figure)
        if ours is not None and theirs:
            done.reach(title, ours / theirs, limit, f"x {other}")
    for figure, title, limit in _FULL_RATIOS:
        ours, theirs = best(found, FULL, figure), best(found, MITMDUMP, figure)
        if ours is not None and theirs:
            done.reach(title, ours / theirs, limit, f"x {MITMDUMP}")
    for figure, title, limit in _RATES:
        ours, theirs = best(found, OURS, figure), best(found, SQUID, figure)
        if ours is not None and theirs:
            done.reach(title, ours / theirs, limit, f"x {SQUID}", least=True)
    one, two = best(found, OURS, "keep-alive/s"), best(found, TWO, "keep-alive/s")
    if one and two:
        done.reach("two workers, requests a second", two / one, 1.6, "x one", least=True)
    with_it, without = best(found, FULL, "page"), best(found, OURS, "page")
    if with_it and without:
        done.note(f"a model page with HTTP/2 costs {with_it / without:.2f} times what it costs without")
    highest, before = best(found, OURS, "memory highest"), best(found, OURS, "memory before")
    if highest is not None and before is not None:
        done.reach("resident memory of a worker, highest", highest, _MEMORY_MOST, "MiB")
        done.reach("growth through 100 MB transfers", highest - before, _MEMORY_GROWTH, "MiB")
    done.rows["every repeat"] = [
        {"contender": name} | each for name, turns in found.items() for each in turns
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
