"""`systemctl reload`: the program starts anew under load, and nobody at the door notices."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.journeys.device import NoAnswerError, ask
from tests.journeys.lab import BOTH, EXPLICIT, Lab
from tests.journeys.network import GATEWAY
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PUPILS = 3


class Load:
    """Pupils who ask on new connections without a pause."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.statuses: dict[str, set[int]] = {"education.example": set(), "gambling.example": set()}
        self.count = 0
        self.lost: list[str] = []
        self.stopping = threading.Event()

    def work(self, number: int) -> None:
        """Be one pupil."""
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            host = list(self.statuses)[turn % 2]
            scheme, via = ("http", "https")[turn // 2 % 2], BOTH[(turn + number) % 2]
            try:
                self.statuses[host].add(ask(self.lab, scheme, host, f"/{number}", via=via).status)
                self.count += 1
            except NoAnswerError as error:
                self.lost.append(f"{scheme} {host} {via}: {error}")


@contextmanager
def loaded(lab: Lab) -> Iterator[Load]:
    load = Load(lab)
    pupils = [threading.Thread(target=load.work, args=(number,)) for number in range(PUPILS)]
    for pupil in pupils:
        pupil.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for pupil in pupils:
            pupil.join()


def reload(lab: Lab) -> None:
    """Do what `systemctl reload` does, and return once other workers serve."""
    assert lab.gateway.process is not None
    before = set(lab.gateway.workers())
    lab.gateway.process.send_signal(signal.SIGHUP)
    until(lambda: len(set(lab.gateway.workers()) - before) == 2, "new workers are started", 90)
    until(lambda: lab.total("gateway_workers_running") == 2, "all workers serve")


def test_a_reload_drops_nothing(brief_lab: Lab) -> None:
    """New workers take over the sockets: no connection is refused, and a download goes on (H7, H36)."""
    lab = brief_lab
    command = [
        "ip",
        "netns",
        "exec",
        lab.network.client,
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
    ]
    command += ["-x", f"http://{GATEWAY}:{EXPLICIT}", "http://education.example/slow"]
    assert lab.gateway.process is not None
    first = lab.gateway.process.pid
    old = lab.gateway.workers()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as download, loaded(lab) as load:
        time.sleep(1.0)
        for _ in range(2):
            reload(lab)
            time.sleep(1.0)
        load.stopping.set()
        assert download.communicate(timeout=120)[0] == b"200"
        assert download.returncode == 0, "the download was cut"
    print(f"{load.count} answers, {len(load.lost)} lost")
    assert load.lost == []
    assert load.count > 20
    assert load.statuses == {"education.example": {200}, "gambling.example": {403}}
    assert lab.gateway.process.poll() is None
    assert lab.gateway.process.pid == first
    until(lambda: not set(old) & set(lab.gateway.workers()), "the old workers have gone")
    assert lab.origin.packets_to_blocked() == 0
    assert "Traceback" not in lab.gateway.said()


def test_settings_that_are_wrong_change_nothing(brief_lab: Lab) -> None:
    """A slip in the file costs a message: the workers go on as they were, and are the same."""
    lab = brief_lab
    good = lab.gateway.config.read_text(encoding="utf-8")
    before = lab.gateway.workers()
    assert lab.gateway.process is not None
    try:
        lab.gateway.config.write_text(good.replace("workers:", "wokers:"), encoding="utf-8")
        lab.gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "not taken up: everything goes on as before" in lab.gateway.said(), "it is told", 60)
    finally:
        lab.gateway.config.write_text(good, encoding="utf-8")
    assert lab.gateway.workers() == before
    assert ask(lab, "https", "gambling.example", "/").status == 403
