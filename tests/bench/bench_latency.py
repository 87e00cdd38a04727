"""What the gateway adds to a request, against plain mitmproxy with no addon of ours, in the same run.

One nginx on this machine, over TLS, is asked straight, through mitmdump as it ships (one process, --quiet),
and through the gateway (one worker; the shipped policy, a million made names, log and metrics on). Both
proxies are used explicitly. The three take turns every few requests, so that a slow moment of the machine
hits all of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.settings import load_settings
from tests.bench import states
from tests.bench.client import Client, Http1, Http2, Way
from tests.bench.measure import KEPT, Report, percentile, report
from tests.bench.origin import ADDRESS, HOST, SIZES, Site, plain_mitmproxy, served
from tests.bench.programs import appliance, configure, cpu_seconds, memory, started, until
from tests.doubles.running import workers_of

REACH = 1.15
STRAIGHT, PLAIN, OURS = "straight", "plain mitmproxy", "this gateway"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of use: `each` requests in `rounds` turns, on an open connection or each on a `fresh` one."""

    name: str
    make: Callable[[Way], Client]
    fresh: bool
    path: str
    rounds: int
    each: int


KINDS = (
    Kind("HTTP/1.1, kept open, 1 KB", Http1, fresh=False, path="/1k", rounds=40, each=25),
    Kind("HTTP/1.1, kept open, 32 KB", Http1, fresh=False, path="/32k", rounds=24, each=20),
    Kind("HTTP/2, kept open, 1 KB", Http2, fresh=False, path="/1k", rounds=40, each=25),
    Kind("HTTP/1.1, new connection, 1 KB", Http1, fresh=True, path="/1k", rounds=40, each=6),
    Kind("HTTP/2, new connection, 1 KB", Http2, fresh=True, path="/1k", rounds=40, each=6),
)


@dataclass(slots=True)
class Taken:
    """What one way took for one kind of use: milliseconds of each request, and CPU seconds of the proxy."""

    times: list[float] = field(default_factory=list)
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to the site, and the process whose CPU time counts; None for the straight way."""

    way: Way
    pid: int | None

    def cpu(self) -> float:
        """Return the CPU seconds of its process so far."""
        return 0.0 if self.pid is None else cpu_seconds(self.pid)


def main() -> None:
    """Measure, print, keep."""
    with report("latency") as done, _contenders(KEPT / "latency") as contenders:
        found = {kind.name: _measured(kind, contenders) for kind in KINDS}
        _print(done, found)
        # Encryption is what makes a worker grow: certificates, contexts and buffers of connections.
        held = [(contender.way.name, memory(contender.pid)) for contender in contenders if contender.pid]
        rows = [{"way": name, "RSS": each.resident, "PSS": each.shared_fairly} for name, each in held]
        done.table("Memory of the process after all this (MiB)", rows)


@contextlib.contextmanager
def _contenders(folder: Path) -> Iterator[list[Contender]]:
    with served(folder / "site") as site, plain_mitmproxy(folder / "plain", site) as (pid, port, root):
        plain = Way(PLAIN, ("127.0.0.1", port), root, proxy=True, host=HOST, port=site.port)
        straight = Way(STRAIGHT, (ADDRESS, site.port), site.root, proxy=False, host=HOST, port=site.port)
        with _gateway(folder / "ours", site) as ours:
            yield [Contender(straight, None), Contender(plain, pid), ours]


@contextlib.contextmanager
def _gateway(folder: Path, site: Site) -> Iterator[Contender]:
    state = states.with_names()
    config = configure(
        folder,
        state,
        ports=[80, 443, site.port],
        reachable=[f"{ADDRESS}/32"],
        static_hosts={HOST: [ADDRESS]},
        extra_roots=str(site.root),
    )
    said = folder / "run.log"
    with started(appliance("run", config=config), said) as process:
        until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
        listen = load_settings(config).settings.gateway.listen
        assert listen is not None
        way = Way(OURS, listen, state / "ca" / "ca.pem", proxy=True, host=HOST, port=site.port)
        yield Contender(way, workers_of(process.pid)[0])


def _measured(kind: Kind, contenders: list[Contender]) -> dict[str, Taken]:
    found = {contender.way.name: Taken() for contender in contenders}
    with contextlib.ExitStack() as open_connections:
        kept: dict[str, Client] = {}
        for contender in contenders:
            client = open_connections.enter_context(contextlib.closing(kind.make(contender.way)))
            for _ in range(20):  # what only the first requests pay for is not what is measured
                client.get(kind.path, SIZES[kind.path])
            kept[contender.way.name] = client
        for at in range(kind.rounds):
            order = contenders[at % len(contenders) :] + contenders[: at % len(contenders)]
            for contender in order:
                _turn(kind, contender, kept[contender.way.name], found[contender.way.name])
    return found


def _turn(kind: Kind, contender: Contender, kept: Client, taken: Taken) -> None:
    used = contender.cpu()
    for _ in range(kind.each):
        began = time.perf_counter()
        if kind.fresh:
            with contextlib.closing(kind.make(contender.way)) as client:
                client.get(kind.path, SIZES[kind.path])
                taken.times.append((time.perf_counter() - began) * 1000)
        else:
            kept.get(kind.path, SIZES[kind.path])
            taken.times.append((time.perf_counter() - began) * 1000)
    if kind.fresh:
        time.sleep(0.02)  # closing costs, too, and comes a moment later
    taken.cpu += contender.cpu() - used


def _print(done: Report, found: dict[str, dict[str, Taken]]) -> None:
    rows, ratios = [], []
    for kind, by_way in found.items():
        lines = {name: _line(taken) for name, taken in by_way.items()}
        rows += [{"use": kind, "way": name} | line for name, line in lines.items()]
        straight, plain, ours = lines[STRAIGHT], lines[PLAIN], lines[OURS]
        ratio = {
            "whole p50": ours["p50"] / plain["p50"],
            "whole p99": ours["p99"] / plain["p99"],
            "added p50": (ours["p50"] - straight["p50"]) / (plain["p50"] - straight["p50"]),
            "CPU": ours["CPU-s per 1,000"] / plain["CPU-s per 1,000"],
        }
        ratios.append({"use": kind} | ratio)
        done.reach(f"added latency p50, {kind}", ratio["added p50"], REACH, "x plain")
        done.reach(f"CPU, {kind}", ratio["CPU"], REACH, "x plain")
    done.table(f"Time of one request (ms) and CPU, {states.NAMES:,} made names listed", rows)
    done.table("This gateway, times plain mitmproxy", ratios)
    done.note("added: what is left once the time of the straight way is taken off; CPU: of the worker alone")


def _line(taken: Taken) -> dict[str, Any]:
    times = sorted(taken.times)
    return {
        "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99),
        "CPU-s per 1,000": taken.cpu / len(times) * 1000,
        "requests": len(times),
    }


if __name__ == "__main__":
    main()
