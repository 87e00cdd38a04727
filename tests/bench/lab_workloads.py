"""What each contender in the lab has to carry, and what that cost it.

What lives only here: the workloads, and how CPU seconds per thousand come about. The CPU time is that of the
contender's whole process tree, user and system; the handshakes of a run's own connections are taken out of
the figures for requests, by what a new connection costs the same contender in the same repeat.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.lab import CLINIC, LESSONS, SIZES, Lab, Running, cpu_of_tree, tree
from tests.bench.lab_pages import Browser
from tests.bench.measure import percentile
from tests.bench.programs import memory
from tests.doubles.running import workers_of

_THOUSAND, _MEGABYTE = 1000, 1e6
_REQUESTS = re.compile(r"(\d+) requests in|, (\d+) succeeded")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)|finished in [\d.]+\w+, ([\d.]+) req/s")
_BAD = re.compile(r"Non-2xx[^\n]*|Socket errors[^\n]*|[1-9]\d* failed")
_STREAMS, _H2_CONNECTIONS = 8, 8


class NotCarriedError(RuntimeError):
    """A contender did not carry a workload; the text says what was seen."""


@dataclass
class Bench:
    """One contender under measurement, and what was found of it in this repeat."""

    lab: Lab
    running: Running
    http2: bool
    ours: bool
    seconds: int
    found: dict[str, float] = field(default_factory=dict)

    @property
    def browser(self) -> Browser:
        """A client of this contender."""
        return Browser(self.lab, self.running, self.http2)

    def cpu(self) -> float:
        """Return the CPU seconds that the contender's processes have used so far."""
        return 0.0 if self.running.pid is None else cpu_of_tree(self.running.pid)

    def processes(self) -> list[int]:
        """Return the processes that carry traffic: our workers, or the whole tree of others."""
        pid = self.running.pid
        return [] if pid is None else workers_of(pid) if self.ours else tree(pid)

    def resident(self) -> float:
        """Return the resident memory of the largest process that carries traffic, in MiB."""
        return max((memory(pid).resident for pid in self.processes()), default=0.0)


def _load(bench: Bench, command: list[object], connections: int) -> tuple[float, float]:
    """Run a load tool; return requests a second, and CPU seconds per 1,000 requests."""
    before = bench.cpu()
    said = bench.lab.client(*command)
    used = bench.cpu() - before
    count, rate, bad = _REQUESTS.search(said), _RATE.search(said), _BAD.search(said)
    number = int(next(filter(None, count.groups()))) if count else 0
    if number <= connections or rate is None or bad is not None:
        raise NotCarriedError(f"{bench.running.name}: {bad[0] if bad else said[-120:]!r}")
    each = bench.found.get("new connection", 0.0) if connections else 0.0
    cost = max(0.0, _THOUSAND * used - connections * each) / (number - connections)
    return float(next(filter(None, rate.groups()))), cost


def _wrk(
    bench: Bench, path: str, connections: int, *, host: str = LESSONS, close: bool = False
) -> tuple[float, float]:
    header = "Connection: close" if close else "Connection: keep-alive"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{bench.seconds}s", "-H", header]
    rate, cost = _load(bench, [*command, f"https://{host}/{path}"], 0 if close else connections)
    return rate, cost


def new_connections(bench: Bench) -> None:
    """Open connections that carry one request each, to sites that are opened."""
    bench.found["new connections/s"], bench.found["new connection"] = _wrk(bench, "1k", 8, close=True)


def keep_alive(bench: Bench) -> None:
    """Ask for 1 KB again and again on 32 connections."""
    bench.found["keep-alive/s"], bench.found["keep-alive"] = _wrk(bench, "1k", 32)


def html(bench: Bench) -> None:
    """Ask for an HTML page of 32 KB on 16 connections."""
    _, bench.found["html"] = _wrk(bench, "32k.html", 16)


def http2(bench: Bench) -> None:
    """Ask for 1 KB over HTTP/2: 8 connections with 8 streams each."""
    command: list[object] = ["h2load", "-t1", f"-c{_H2_CONNECTIONS}", f"-m{_STREAMS}"]
    command += ["-D", f"{bench.seconds}", f"https://{LESSONS}/1k"]
    _, bench.found["http2"] = _load(bench, command, _H2_CONNECTIONS)


def page(bench: Bench) -> None:
    """Load model pages, one after the other."""
    browser, times = bench.browser, []
    browser.page()
    before, finish = bench.cpu(), time.monotonic() + bench.seconds
    while time.monotonic() < finish:
        times.append(browser.page())
    time.sleep(0.1)  # closing costs, too
    bench.found["page"] = (bench.cpu() - before) / len(times) * _THOUSAND
    bench.found["page p50"] = percentile(sorted(times), 0.5) * _THOUSAND


def spliced(bench: Bench) -> None:
    """Open connections to a site that is not opened."""
    _, bench.found["spliced connection"] = _wrk(bench, "1k", 8, host=CLINIC, close=True)


def latency(bench: Bench) -> None:
    """Ask for 1 KB now and then on one connection."""
    times = sorted(bench.browser.paced(80 * bench.seconds))
    bench.found["latency p50"], bench.found["latency p99"] = percentile(times, 0.5), percentile(times, 0.99)


def _download(bench: Bench, host: str, at_once: int) -> tuple[float, float, float]:
    """Fetch 100 MB, as often at once as said; return MB/s, CPU seconds per GB, and the highest memory."""
    url = f"https://{host}/100m"
    curl = ["curl", "-sS", "-k", "--http1.1", "-o", "/dev/null", "-w", "%{size_download} ", "-m", "100", url]
    line = bench.lab.command(bench.lab.network.client, *curl)
    before, began = bench.cpu(), time.perf_counter()
    with _highest(bench) as highest:
        fetching = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(at_once)]
        size = sum(float((one.communicate()[0] or "0").split()[0]) for one in fetching)
    took, used = time.perf_counter() - began, bench.cpu() - before
    if size < at_once * SIZES["100m"]:
        raise NotCarriedError(f"{bench.running.name}: only {size / _MEGABYTE:.0f} MB of {url} arrived")
    return size / _MEGABYTE / took, used / (size / (_MEGABYTE * _THOUSAND)), highest[0]


def spliced_bytes(bench: Bench) -> None:
    """Fetch 100 MB four times at once from a site that is not opened."""
    bench.found["spliced MB/s"], bench.found["spliced per GB"], _ = _download(bench, CLINIC, 4)


def opened_bytes(bench: Bench) -> None:
    """Fetch 100 MB from a site that is opened: alone for the rate, and four at once for the memory."""
    before = bench.resident()
    bench.found["opened MB/s"], bench.found["opened per GB"], _ = _download(bench, LESSONS, 1)
    _, _, highest = _download(bench, LESSONS, 4)
    bench.found["memory before"], bench.found["memory highest"] = before, highest
    bench.found["memory after"] = bench.resident()


@contextmanager
def _highest(bench: Bench) -> Iterator[list[float]]:
    found, done = [bench.resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            with contextlib.suppress(OSError):
                found[0] = max(found[0], bench.resident())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


WORKLOADS: dict[str, Callable[[Bench], None]] = {
    "new": new_connections,
    "keep-alive": keep_alive,
    "page": page,
    "http2": http2,
    "html": html,
    "spliced": spliced,
    "spliced-bytes": spliced_bytes,
    "opened-bytes": opened_bytes,
    "latency": latency,
}
PASSING = ("spliced", "spliced-bytes")
"""Workloads for contenders that leave some of it alone."""
