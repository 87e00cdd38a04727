"""How soon the safeguarding lead hears: from a pupil's request to the mail server's "250", under load.

Real processes: a gateway with two workers and its keeper, Debian's postfix with TLS, 200 requests a second
beside the triggers; each trigger comes from an address of its own and is a case of its own. Then a flood of
flagged rows, and planted personal data searched for in everything that can leave. Needs root, for postfix.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import trustme
import yaml

from appliance.alerts.book import Book
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.category import Severity
from appliance.settings import Settings, load_settings
from tests.bench.measure import KEPT, percentile, report
from tests.bench.programs import appliance, configure, cpu_seconds, started, until
from tests.doubles.alerts import DSL
from tests.doubles.events import BLOCKED, PUPIL, access
from tests.doubles.planted import search
from tests.doubles.running import below
from tests.journeys.postfix import Postfix, running

BACKGROUND = 200
"""Requests a second beside the triggers."""

THREADS = 12
P50, P99 = 5.0, 60.0
ROLES = ("dsl", "deputy", "head", "online_safety")


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=100)
    parser.add_argument("--flood", type=int, default=100_000)
    parser.add_argument("--rendered", type=int, default=100_000)
    asked = parser.parse_args()
    ca = trustme.CA()
    with report("alerts") as done, running(ca) as postfix:
        config = _configured(KEPT / "alerts", postfix, ca)
        settings = load_settings(config).settings
        said = KEPT / "alerts" / "run.log"
        with started(appliance("run", config=config), said) as process:
            until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
            until(Book(settings.state).path.exists, process, said, "the keeper")
            _confirm(settings)
            keeper = max(below(process.pid), key=lambda pid: "keeper" in _command(pid))
            seconds, asked_for = _trigger(settings, asked.triggers)
            before, began = cpu_seconds(keeper), time.monotonic()
            flood = asyncio.run(_flood(settings, asked.flood))
            used = cpu_seconds(keeper) - before
            done.note(f"beside the triggers {asked_for:.0f} requests a second were answered")
            done.note(f"the flood took {time.monotonic() - began:.0f} s in all, with its writing")
        found = search(Path(tempfile.mkdtemp(prefix="planted-")), asked.rendered)
        rows = [
            {
                "what": "trigger to 250",
                "p50 (s)": percentile(seconds, 0.5),
                "p99 (s)": percentile(seconds, 0.99),
            }
        ]
        done.table(f"{len(seconds)} triggers of {asked.triggers}", rows)
        done.table(
            "A flood of flagged rows",
            [{"rows": asked.flood, "kept after (s)": flood, "keeper's CPU (s)": used}],
        )
        done.table("Planted personal data", [{"texts": found.rendered, "leaks": len(found.leaks)}])
        done.reach("alerts that arrived", float(len(seconds)), float(asked.triggers), "", least=True)
        done.reach("trigger to accepted by SMTP: p50", percentile(seconds, 0.5), P50, "s")
        done.reach("trigger to accepted by SMTP: p99", percentile(seconds, 0.99), P99, "s")
        done.reach("planted words that came out", float(len(found.leaks)), 0.0, "")


def _configured(folder: Path, postfix: Postfix, ca: trustme.CA) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    config = configure(folder, folder / "state", workers=2, ports=[1, 80, 443])
    ca.cert_pem.write_to_path(str(folder / "roots.pem"))
    mail = {
        "server": "127.0.0.1",
        "port": postfix.port,
        "sender": "gateway@school.example",
        "roots": "roots.pem",
    }
    values = yaml.safe_load(config.read_text(encoding="utf-8"))
    values["identity"]["networks"] = [{"network": "127.0.0.0/8", "group": "ks2", "name": "ks2"}]
    values["alerts"] = {
        "deliver": True,
        "heartbeat": None,
        "mail": mail,
        "roles": {role: [DSL] for role in ROLES},
    }
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    return config


def _confirm(settings: Settings) -> None:
    with Book(settings.state).writing() as db:
        db.execute("INSERT OR REPLACE INTO recipient VALUES (?, 0, ?)", (DSL, time.time()))


def _trigger(settings: Settings, count: int) -> tuple[list[float], float]:
    answered, stop = [0], threading.Event()
    background = [threading.Thread(target=_ask_on, args=(settings, answered, stop)) for _ in range(THREADS)]
    for thread in background:
        thread.start()
    began, asked = time.monotonic(), dict[str, float]()
    for number in range(count):
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        asked[f"address {address}"] = time.time()
        _ask(settings, "http://self-harm.example/", address)
        time.sleep(0.25)
    rate = answered[0] / (time.monotonic() - began)
    seconds = _heard(settings, asked)
    stop.set()
    for thread in background:
        thread.join()
    return seconds, rate


def _heard(settings: Settings, asked: dict[str, float]) -> list[float]:
    query = """SELECT e.subject, min(o.sent) FROM outbox o JOIN episode e ON e.id = o.episode
        WHERE o.state = 'sent' GROUP BY e.subject"""
    end, sent = time.monotonic() + 90, dict[str, float]()
    while len(sent) < len(asked) and time.monotonic() < end:
        time.sleep(0.2)
        with Book(settings.state).reading() as db:
            sent = dict(db.execute(query))
    return sorted(at - asked[subject] for subject, at in sent.items() if subject in asked)


def _ask_on(settings: Settings, answered: list[int], stop: threading.Event) -> None:
    pause = THREADS / BACKGROUND
    due = time.monotonic()
    while not stop.is_set():
        _ask(settings, "http://filter.internal/", "127.0.0.1")
        answered[0] += 1
        due += pause
        time.sleep(max(0.0, due - time.monotonic()))


def _ask(settings: Settings, url: str, address: str) -> None:
    assert settings.listen.explicit is not None
    host = url.split("/")[2]
    with socket.create_connection(settings.listen.explicit, 10, (address, 0)) as client:
        client.sendall(f"GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        while client.recv(65_536):
            pass


async def _flood(settings: Settings, count: int) -> float:
    """Write so many flagged rows of thirty people, and return how long after the last one all were kept."""
    writer = Writer(settings.state / DATABASE, durable=False, patience=30)
    people = [replace(PUPIL, name=f"Pupil {number}") for number in range(30)]
    decision = replace(BLOCKED, category="drugs", severity=Severity.HIGH)
    for first in range(0, count, 1_000):
        batch = [
            access(number, decision, person=people[number % 30]) for number in range(first, first + 1_000)
        ]
        await writer.write([from_access(one) for one in batch])
    await writer.close()
    ended, found = time.monotonic(), 0
    while found < count and time.monotonic() - ended < 300:
        await asyncio.sleep(0.2)
        with Book(settings.state).reading() as db:
            query = "SELECT total(count) FROM episode WHERE theme = 'drugs'"
            found = int(db.execute(query).fetchone()[0])
    return time.monotonic() - ended


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()
