"""A school that signs in at the start of a lesson, and what that does to everybody who is at work already.

Measures on one gateway with two workers: how long it takes from sending name and password to the first page
that is let through, one after the other; then 600 pupils, each on an address of their own, who sign in over
five minutes, beside somebody who reads pages all the while. The times of that reader are compared with those
of a moment without sign-ins. The pupils' browsers run on the same machine, and their encryption with them.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import yaml

from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.passwords import Passwords
from appliance.model.person import Kind
from appliance.model.secret import Secret
from appliance.settings import load_settings
from tests.bench.client import Http1, Way
from tests.bench.measure import KEPT, percentile, report
from tests.bench.origin import ADDRESS, HOST, SIZES, Site, served
from tests.bench.programs import appliance, configure, cpu_seconds, started, until
from tests.doubles.running import below

PUPILS, SECONDS = 600, 300.0
ALONE = 12
IDLE_SECONDS, PAUSE = 30.0, 0.02
FIRST_REACH, SLOWER_REACH = 300.0, 2.0
"""Milliseconds to the first page, median of those alone; the reader's p99, times that of an idle gateway."""

_REST = 0.08
"""CPU seconds within a second, below which a gateway only looks whether there is something to do."""
_OWN, _WORD, _PAGE = "filter.internal", "Blue-kettle-42", "/1k"


@dataclass(frozen=True, slots=True)
class School:
    """The gateway as a pupil's browser knows it, and the site behind it."""

    proxy: tuple[str, int]
    trusted: ssl.SSLContext
    site: Site
    reader: Way
    gateway: int

    def cpu(self) -> float:
        """Return the CPU seconds of all its processes so far."""
        return sum(cpu_seconds(pid) for pid in (self.gateway, *below(self.gateway)))

    def resting(self) -> float:
        """Wait until all of them have come to rest after their start; return `cpu` then."""
        before, now = -1.0, self.cpu()
        end = time.monotonic() + 30
        while now - before > _REST and time.monotonic() < end:
            time.sleep(1)
            before, now = now, self.cpu()
        return now


def main() -> None:
    """Measure, print, keep."""
    with report("signin") as done, school(KEPT / "signin") as at:
        used = at.resting()
        alone = sorted(signed_in(at, number) for number in range(ALONE))
        each = (at.cpu() - used) / ALONE
        idle = _read(at, threading.Event(), IDLE_SECONDS)
        stop, busy, times = threading.Event(), list[float](), list[float]()
        reading = threading.Thread(target=lambda: busy.extend(_read(at, stop, SECONDS * 2)))
        reading.start()
        failed = _all(at, times)
        stop.set()
        reading.join()
        times.sort()
        rows = [
            {"who": who, "p50": percentile(found, 0.5), "p99": percentile(found, 0.99), "count": len(found)}
            for who, found in (("one after the other", alone), (f"{PUPILS} in {SECONDS:g} s", times))
        ]
        done.table("From sending the password to the first page (ms)", rows)
        slower = percentile(sorted(busy), 0.99) / percentile(sorted(idle), 0.99)
        reader = [
            {"while": what, "p50": percentile(sorted(found), 0.5), "p99": percentile(sorted(found), 0.99)}
            for what, found in (("idle", idle), ("they sign in", busy))
        ]
        share = each * PUPILS / SECONDS
        done.table(
            "What a sign-in costs the gateway, with its first page (CPU seconds)",
            [{"one": each, "cores for all of them": share}],
        )
        done.table("A page for somebody who is at work already (ms)", reader)
        done.reach("sign-in to first page, alone", percentile(alone, 0.5), FIRST_REACH, "ms")
        done.reach("sign-ins that failed", float(failed), 0.0, "")
        done.reach("p99 of a page while they sign in", slower, SLOWER_REACH, "x idle")


@contextlib.contextmanager
def school(folder: Path) -> Iterator[School]:
    """Run a gateway at which pupils must sign in, and a site behind it."""
    shutil.rmtree(folder, ignore_errors=True)
    with served(folder / "site") as site:
        config = _configured(folder, site)
        said = folder / "run.log"
        with started(appliance("run", config=config), said) as process:
            until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
            listen = load_settings(config).settings.gateway.listen
            assert listen is not None
            ca = folder / "state" / "ca" / "ca.pem"
            trusted = ssl.create_default_context(cafile=str(ca))
            reader = Way("reader", listen, ca, proxy=True, host=HOST, port=site.port)
            made = School(listen, trusted, site, reader, process.pid)
            until(lambda: _asks(made), process, said, "the sign-in")
            yield made


def _configured(folder: Path, site: Site) -> Path:
    state = folder / "state"
    state.mkdir(parents=True)
    config = configure(
        folder,
        state,
        workers=2,
        ports=[80, 443, site.port],
        reachable=[f"{ADDRESS}/32"],
        static_hosts={HOST: [ADDRESS]},
        extra_roots=str(site.root),
    )
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    rooms = {"network": "127.30.0.0/16", "group": "ks2", "name": "Rooms", "sign_in": True}
    settings["identity"] |= {"portal": True, "networks": [*settings["identity"]["networks"], rooms]}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    database, word = Database(state), Passwords().make(Secret(_WORD))  # one hash, compared 600 times
    database.prepare()
    accounts = [Account(f"pupil {number}", Kind.INDIVIDUAL, "ks2", word) for number in range(PUPILS + ALONE)]
    Accounts(database).add(*accounts)
    return config


def _all(school: School, times: list[float]) -> int:
    """Let everybody sign in, each at their moment; return how many could not."""
    began = time.monotonic()

    def one(number: int) -> float:
        time.sleep(max(0.0, began + number * SECONDS / PUPILS - time.monotonic()))
        return signed_in(school, number + ALONE)

    failed = 0
    with ThreadPoolExecutor(16) as browsers:
        for done in [browsers.submit(one, number) for number in range(PUPILS)]:
            if done.exception() is None:
                times.append(done.result())
            else:
                failed += 1
    return failed


def signed_in(school: School, number: int) -> float:
    """Sign one pupil in; return the milliseconds from sending the password to the first page."""
    with contextlib.closing(_tunnel(school, number, _OWN, 443)) as browser:
        browser.request("GET", "/sign-in")
        page = browser.getresponse()
        token = re.findall(r'name="token" value="(\w+)"', page.read().decode())[0]
        cookie = str(page.getheader("set-cookie")).partition(";")[0]
        fields = urlencode({"token": token, "name": f"pupil {number}", "password": _WORD})
        form = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        browser.request("POST", "/sign-in", fields, {"content-type": form, "cookie": cookie})
        answer = browser.getresponse()
        answer.read()
        if answer.status != http.client.SEE_OTHER:
            raise RuntimeError(f"pupil {number}: {answer.status}")
    while not _gets(school, number):
        if time.perf_counter() - began > 20:
            raise RuntimeError(f"pupil {number}: signed in, and sees nothing")
        time.sleep(
            0.05
        )  # a browser opens a page when somebody asks for one, and not a hundred times a second
    return (time.perf_counter() - began) * 1e3


def _gets(school: School, number: int) -> bool:
    with contextlib.closing(_tunnel(school, number, HOST, school.site.port)) as browser:
        try:
            browser.request("GET", _PAGE)
            answer = browser.getresponse()
            return answer.status == http.client.OK and len(answer.read()) == SIZES[_PAGE]
        except OSError:
            return False


def _asks(school: School) -> bool:
    with contextlib.suppress(OSError), contextlib.closing(_tunnel(school, 0, _OWN, 443)) as browser:
        browser.request("GET", "/sign-in")
        return browser.getresponse().status == http.client.OK
    return False


def _tunnel(school: School, number: int, host: str, port: int) -> http.client.HTTPSConnection:
    where = (f"127.30.{number // 250}.{number % 250 + 1}", 0)
    made = http.client.HTTPSConnection(
        *school.proxy, timeout=30, source_address=where, context=school.trusted
    )
    made.set_tunnel(host, port)
    return made


def _read(school: School, stop: threading.Event, seconds: float) -> list[float]:
    """Read pages for so long, as somebody at work; return the milliseconds that each took."""
    found: list[float] = []
    end = time.monotonic() + seconds
    with Http1(school.reader) as client:
        client.get(_PAGE, SIZES[_PAGE])
        while not stop.is_set() and time.monotonic() < end:
            began = time.perf_counter()
            client.get(_PAGE, SIZES[_PAGE])
            found.append((time.perf_counter() - began) * 1e3)
            time.sleep(PAUSE)
    return found


if __name__ == "__main__":
    main()
