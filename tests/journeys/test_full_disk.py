"""A state folder that is full: the filter goes on, workers come back, and refusals stay on record (F4)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import granting
from appliance.events.audit import Trail
from appliance.events.verify_audit import NOT_CARRIED
from appliance.model.grant import State, What, Whom
from appliance.overrides.written import Wish
from tests.journeys.network import run
from tests.journeys.running import Gateway, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROXY = 8080
SITE = "unlisted.example"
"""A site that is closed to the class until somebody opens it; nobody answers there."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in a namespace of its own, whose state lies on a disk of 48 MB."""
    place = f"d{time.monotonic_ns() % 100_000:05}"
    home = tmp_path / "home"
    (home / "state").mkdir(parents=True)
    run(f"mount -t tmpfs -o size=48m tmpfs {home / 'state'}")
    run(f"ip netns add {place}")
    run(f"ip -n {place} link set lo up")
    made = Gateway(place, home)
    made.settle(
        {
            "school": {"name": "Hill School", "set": "westways"},
            "gateway": {"listen": f"127.0.0.1:{PROXY}", "workers": 1},
            "identity": {"networks": [{"network": "127.0.0.1/32", "group": "eyfs", "name": "Room 1"}]},
            "overrides": {"typed_for_others": True},
            "metrics": {"listen": "127.0.0.1:9464"},
        }
    )
    try:
        with running(made):
            yield made
    finally:
        run(f"ip netns del {place}")
        run(f"umount {home / 'state'}")


def status(gateway: Gateway, url: str) -> int:
    """Return the status with which the gateway answers, or 0 where nobody answers."""
    command = ["ip", "netns", "exec", gateway.place, "curl", "-s", "-m", "20", "-o", "/dev/null"]
    command += ["-w", "%{http_code}", "-x", f"http://127.0.0.1:{PROXY}", url]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout)


def fill(gateway: Gateway) -> Path:
    """Use up every byte of the disk."""
    filler = gateway.state / "filler"
    for size in (1 << 20, 4096, 1):
        with filler.open("ab", buffering=0) as file:
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def test_a_worker_that_starts_on_a_full_disk_serves(gateway: Gateway) -> None:
    """A full disk in the night is no morning without a filter, nor one without internet."""
    assert status(gateway, "http://gambling.example/before") == 403
    filler = fill(gateway)
    for number in range(3):  # the one in reserve, too, and those that start now
        (first, *_) = gateway.workers()
        os.kill(first, signal.SIGKILL)
        until(lambda first=first: first not in gateway.workers(), "the killed worker is gone")  # type: ignore[misc]  # its default
        until(lambda: status(gateway, "http://filter.internal/") in {200, 403, 503}, "another one serves")
        assert status(gateway, f"http://gambling.example/full{number}") == 403
    said = gateway.said()
    assert "signal 7" not in said
    assert "SIGBUS" not in said
    filler.unlink()
    until(
        lambda: (
            {f"http://gambling.example/full{n}" for n in range(3)} <= {row["url"] for row in gateway.log()}
        ),
        "what was refused meanwhile is in the log",
    )
    assert status(gateway, "http://gambling.example/after") == 403
    rows = [row["url"] for row in gateway.log()]
    assert len([url for url in rows if url and "/full" in url]) == 3


def test_overrides_on_a_full_disk_open_nothing_and_end_to_the_second(gateway: Gateway) -> None:
    """Who asks then is refused in words; what is open goes on, ends on time, and is written down later."""
    done = gateway.ask("people", "add", "mrs.jones", "--kind", "staff", "--group", "staff")
    assert done.returncode == 0, done.stderr
    assert status(gateway, f"http://{SITE}/") == 403
    now, store = time.time(), granting.store(gateway.state)
    what, whom = What(frozenset({SITE})), Whom(groups=frozenset({"eyfs"}))
    wish = Wish(what, whom, "We look at one page.", "Year R", now, now + 45)
    number = store.request_and_grant(wish, "teacher", by="mrs.jones", now=now).number
    until(lambda: status(gateway, f"http://{SITE}/") != 403, "it is open", 3)
    why = ("--subject", "Year R", "--reason", "We look at one other page.")
    more = ("--for", "eyfs", "--minutes", "5", "--by", "mrs.jones", *why)
    filler, host = fill(gateway), ""
    # What is left of the last blocks may hold a record or two; whatever is said to be granted is there.
    for attempt in range(20):
        host = f"other{attempt}.example"
        done = gateway.ask("overrides", "grant", host, *more)
        there = {host for one in store.in_force() for host in one.wish.what.hosts}
        assert (host in there) == (done.returncode == 0), done.stderr
        if done.returncode:
            break
    assert done.returncode == 2
    assert any(words in done.stderr.lower() for words in ("no space left", "full")), done.stderr
    assert "Traceback" not in done.stderr
    assert all(host not in one.wish.what.hosts for one in store.all(over=True))
    assert time.time() < wish.ends - 2, "the grant is still to be looked at"
    assert status(gateway, f"http://{SITE}/") != 403
    while time.time() < wish.ends - 0.5:
        time.sleep(0.05)
    assert status(gateway, f"http://{SITE}/") != 403
    until(lambda: status(gateway, f"http://{SITE}/") == 403, "it has ended", 1.5)
    assert time.time() <= wish.ends + 1.5
    assert gateway.ask("overrides", "list").returncode == 0
    filler.unlink()
    until(lambda: store.get(number).state is State.EXPIRED, "its end is written down")
    done = gateway.ask("overrides", "grant", SITE, *more)
    assert done.returncode == 0, done.stderr
    until(lambda: status(gateway, f"http://{SITE}/") != 403, "it is open again", 3)
    assert gateway.ask("audit", "verify").returncode == 0
    # Whatever the audit names has happened, or a record after it says that it has not.
    entries = Trail(gateway.state).entries()
    untrue = {entry["record"] for entry in entries if entry["what"] == NOT_CARRIED}
    said = [entry for entry in entries if entry["what"] == "override-granted" and entry["n"] not in untrue]
    assert [entry["whom"] for entry in said] == [
        f"override {one.number}" for one in store.all(over=True) if one.granted_by
    ]
