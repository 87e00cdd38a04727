"""What overrides cost and how soon they count: a decision beside 500, a grant's effect, the last byte.

Three figures in one run. A decision with 500 overrides in force, each with hosts that its pages have named,
beside one with none: CPU time, interleaved, best of repeats. Then a gateway with four workers and people who
read pages all the while: from a grant in the database to the first open answer of the slowest worker, and
from its end to the last byte of whoever reads by it, with a connection to every worker. `BENCH_ROUNDS` for
fewer grants. `.venv/bin/python -m tests.bench.bench_overrides`, on a machine that nobody else uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import re
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import yaml

from appliance import assembly, granting
from appliance.filtering import Filtering
from appliance.model.category import Severity
from appliance.model.grant import Grant, What, Whom
from appliance.model.need import Need
from appliance.model.request import Load, Request
from appliance.model.url import parse_url
from appliance.overrides.needs import Learnt
from appliance.overrides.store import Overrides
from appliance.overrides.written import Wish
from appliance.policy.overrides import Grants
from appliance.settings import load_settings
from tests.bench import states
from tests.bench.measure import KEPT, Report, give_up, percentile, report
from tests.bench.origin import ADDRESS, HOST, Site, served
from tests.bench.programs import appliance, configure, started, until
from tests.doubles.running import workers_of

ACTIVE, ROUNDS, REPEATS = 500, 20_000, 9
WORKERS, GRANTS, RATE, READERS = 4, int(os.environ.get("BENCH_ROUNDS", "100")), 200, 20
"""Workers, grants that are given and ended, requests a second meanwhile, and on how many connections."""

DEARER_REACH, SOON_REACH = 1.2, 1.0
"""Times a decision without any; seconds, for 99 of 100."""

PART = Load("style", "no-cors", "cross-site", "site1.example", document=False, sends=False)
CASES: dict[str, tuple[str, Load | None]] = {
    "open": ("https://www.bbc.co.uk/bitesize?x=1", None),
    "unlisted": ("https://www.nobody.example/page", None),
    "blocked": ("https://gambling.example/odds", None),
    "blocked, as a part of a page": ("https://gambling.example/odds", PART),
}
_LESSON, _LOADERS = "127.31.0.1", "127.0.0.1"
"""Addresses: of the youngest, for whom the site is closed, and of those who read it all the while."""

_POLL, _PATIENCE = 0.01, 20.0


def grants(count: int) -> Grants:
    """Return grants for sites, pages and categories, as a large school may have at the same time."""
    dice, now = Random(1), time.time()
    made = []
    for number in range(1, count + 1):
        host = f"site{number}.example"
        what = dice.choice(
            (
                What(frozenset({host, f"www.{host}"})),
                What(pages=frozenset({(host, "/lesson")})),
                What(frozenset({host}), categories=frozenset({dice.choice(("drugs", "blogs", "forums"))})),
            )
        )
        whom = Whom(groups=frozenset({dice.choice(("ks1", "ks2"))}))
        made.append(Grant(number, what, whom, "teacher", now - 60, now + 86_400, "Opened.", learns=True))
    return Grants(made)


def cost(journey: Filtering, request: Request) -> float:
    """Return the CPU seconds of one decision."""
    judge: Callable[[Request], object] = journey.judge
    begun = time.process_time()
    for _ in range(ROUNDS):
        judge(request)
    return (time.process_time() - begun) / ROUNDS


def decisions(done: Report) -> None:
    """Measure a decision beside 500 overrides and beside none."""
    loaded = assembly.load(configure(KEPT / "overrides-decision", states.with_names()))
    settings, policy, lists = loaded.settings, loaded.policy, assembly.open_lists(loaded.settings)
    with tempfile.TemporaryDirectory() as folder, named(Path(folder)) as learnt:
        none, many = (assembly.filtering(settings, policy, lists, learnt=each) for each in (None, learnt))
        many.grant(grants(ACTIVE))
        rows = []
        for name, (text, load) in CASES.items():
            plain = Request(parse_url(text), client=_LOADERS)
            # Without any override the gateway does not read what a browser says of a request.
            asked = replace(plain, load=load or Load())
            pairs = [(cost(none, plain), cost(many, asked)) for _ in range(REPEATS)]
            without, with_many = min(a for a, _ in pairs) * 1e6, min(b for _, b in pairs) * 1e6
            times = with_many / without
            done.reach(f"decision with {ACTIVE} overrides: {name}", times, DEARER_REACH, "x none")
            rows.append({"site": name, "none": without, "500": with_many, "times": times})
    done.table("A decision beside 500 overrides (CPU, microseconds)", rows)


@contextlib.contextmanager
def named(state: Path) -> Iterator[Learnt]:
    """Give what pages of 500 overrides have named, as a worker knows it."""
    granting.prepare(state)
    store, now = granting.store(state), time.time()
    for number in range(ACTIVE):
        store.request_and_grant(wish(f"site{number + 1}.example", now), "teacher", by="bench", now=now)
    learnt = granting.learnt(state)
    for number in range(1, ACTIVE + 1):
        hosts = (f"cdn{number}.example", f"fonts{number % 20}.example")
        learnt.learn(number, [Need(host, f"site{number}.example", Severity.MEDIUM, now) for host in hosts])
    yield learnt
    learnt.close()


def wish(host: str, now: float) -> Wish:
    """Return what a teacher asks for."""
    whom = Whom(groups=frozenset({"eyfs"}))
    return Wish(What(frozenset({host})), whom, "We look at a page together.", "Year R", now, now + 3600)


@dataclass(frozen=True, slots=True)
class School:
    """A gateway that runs, as clients know it."""

    proxy: tuple[str, int]
    trusted: ssl.SSLContext
    site: Site
    store: Overrides
    gateway: int


@contextlib.contextmanager
def school(folder: Path) -> Iterator[School]:
    """Run a gateway with four workers, a site that is closed to the youngest, and people who read it."""
    shutil.rmtree(folder, ignore_errors=True)
    with served(folder / "site") as site:
        state = folder / "state"
        config = configure(
            folder, state, workers=WORKERS, ports=[80, 443, site.port], reachable=[f"{ADDRESS}/32"],
            static_hosts={HOST: [ADDRESS]}, extra_roots=str(site.root),
        )  # fmt: skip
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        settings["identity"]["networks"].append(
            {"network": f"{_LESSON}/32", "group": "eyfs", "name": "Lesson"}
        )
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        said = folder / "run.log"
        with started(appliance("run", config=config), said) as process:
            until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
            listen = load_settings(config).settings.gateway.listen
            assert listen is not None
            ca = str(state / "ca" / "ca.pem")
            trusted = ssl.create_default_context(cafile=ca)
            store = granting.store(state)
            reading = multiprocessing.get_context("spawn").Process(
                target=load_it, args=(listen, ca, site.port)
            )
            reading.start()
            try:
                yield School(listen, trusted, site, store, process.pid)
            finally:
                reading.terminate()
                reading.join()


def load_it(proxy: tuple[str, int], ca: str, port: int) -> None:
    """Read pages of the site for ever, as everybody else in the school."""
    trusted = ssl.create_default_context(cafile=ca)

    async def one() -> None:
        link = await Link.opened(proxy, trusted, port, _LOADERS)
        while True:
            begun = time.monotonic()
            await link.page()
            await asyncio.sleep(max(0.0, READERS / RATE - (time.monotonic() - begun)))

    async def everybody() -> None:
        await asyncio.gather(*(one() for _ in range(READERS)))

    asyncio.run(everybody())


@dataclass(slots=True)
class Link:
    """One connection to the site through the gateway; `last` is when the last byte of a page came."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    port: int
    last: float = 0.0

    @classmethod
    async def opened(cls, proxy: tuple[str, int], trusted: ssl.SSLContext, port: int, address: str) -> Link:
        """Open a tunnel, with encryption within."""
        reader, writer = await asyncio.open_connection(*proxy, local_addr=(address, 0))
        writer.write(f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(trusted, server_hostname=HOST)
        return cls(reader, writer, port)

    async def page(self) -> int:
        """Ask for a page, read it, and return the status; an error of the connection where it is cut."""
        self.writer.write(f"GET /32k HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        left, status = int(re.findall(r"(?i)content-length: (\d+)", head)[0]), int(head.split()[1])
        while left:
            chunk = await self.reader.read(left)
            if not chunk:
                raise ConnectionResetError
            left -= len(chunk)
            if status == _OPEN:
                self.last = time.time()
        return status


_OPEN = 200


async def one_for_each(at: School) -> list[Link]:
    """Return connections of the youngest, one to each worker."""
    found: dict[int, Link] = {}
    workers = workers_of(at.gateway)
    for _ in range(40 * WORKERS):
        link = await Link.opened(at.proxy, at.trusted, at.site.port, _LESSON)
        worker = owner(link.writer.get_extra_info("sockname")[1], at.proxy[1], workers)
        if found.setdefault(worker, link) is not link:
            link.writer.close()
        if len(found) == len(workers) == WORKERS:
            return list(found.values())
    return give_up("the connections never came to every worker")


def owner(client: int, listening: int, workers: list[int]) -> int:
    """Return which worker holds the other end of a connection from the port `client`."""
    wanted = (f":{listening:04X}", f":{client:04X}")
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        cells = line.split()
        if cells[1].endswith(wanted[0]) and cells[2].endswith(wanted[1]):
            name = f"socket:[{cells[9]}]"
            for worker in workers:
                with contextlib.suppress(OSError):
                    if any(str(each.readlink()) == name for each in Path(f"/proc/{worker}/fd").iterdir()):
                        return worker
    return 0


async def one_grant(at: School) -> tuple[float, float]:
    """Give a grant and end it; return the seconds until it was in force everywhere, and to the last byte."""
    links = await one_for_each(at)
    now = time.time()
    number = at.store.request_and_grant(wish(HOST, now), "teacher", by="bench", now=now).number
    granted = time.time()

    async def opens(link: Link) -> float:
        while await link.page() != _OPEN:  # noqa: ASYNC110 - it is read, not waited for
            await asyncio.sleep(_POLL)
        return time.time() - granted

    effect = max(await asyncio.wait_for(asyncio.gather(*map(opens, links)), _PATIENCE))
    reading = [asyncio.create_task(_read(link)) for link in links]
    await asyncio.sleep(0.2)
    at.store.revoke(number, by="bench", now=time.time(), note="")
    ended = time.time()
    await asyncio.wait_for(asyncio.gather(*reading), _PATIENCE)
    return effect, max(0.0, *(link.last - ended for link in links))


async def _read(link: Link) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while await link.page() == _OPEN:  # noqa: ASYNC110 - the same
            await asyncio.sleep(_POLL)
    link.writer.close()


async def _rounds(at: School) -> list[tuple[float, float]]:
    return [await one_grant(at) for _ in range(GRANTS)]


def soon(done: Report) -> None:
    """Measure how soon grants count in every worker, and how soon nothing more comes by them."""
    with school(KEPT / "overrides") as at:
        found = asyncio.run(_rounds(at))
    effect, last = (sorted(each) for each in zip(*found, strict=True))
    done.table(
        f"{GRANTS} grants, {WORKERS} workers, {RATE} requests a second meanwhile (seconds)",
        [
            {
                "until": what,
                "p50": percentile(seconds, 0.5),
                "p99": percentile(seconds, 0.99),
                "worst": seconds[-1],
            }
            for what, seconds in (("in force in every worker", effect), ("the last byte after its end", last))
        ],
    )
    done.reach("grant to effect, p99", percentile(effect, 0.99), SOON_REACH, "s")
    done.reach("end to last byte, p99", percentile(last, 0.99), SOON_REACH, "s")


def main() -> None:
    """Measure, print, keep."""
    with report("overrides") as done:
        decisions(done)
        soon(done)


if __name__ == "__main__":
    main()
