"""A hundred updates while the school works: no request is dropped, unjudged or judged wrongly."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from appliance.lists.compiler import compile_lists
from appliance.lists.importer import Wanted, import_list
from appliance.lists.paths import Paths
from tests.doubles.feeds import FeedServer
from tests.doubles.running import free_port
from tests.journeys.running import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SWAPS, FETCHED = 100, 5
"""Lists that are swapped in, and how many of those are fetched by the command, which takes longer."""
STEADY, TOGGLED, OTHER = "steady.test", "toggled.test", "swapped-{}.test"
PAUSE = 0.02
GRACE = 2.0
"""Seconds in which a new edition must be in force: one, and one more for a machine that is busy."""


@dataclass
class Load:
    """Clients that ask all the time: half of them over one connection, half over a new one each time."""

    port: int
    problems: list[str] = field(default_factory=list)
    toggled: list[tuple[float, float, int]] = field(default_factory=list)
    asked: int = 0
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin with two clients of each kind."""
        for keeps in (True, False, True, False):
            thread = threading.Thread(target=self._go_on, args=(keeps,))
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Let each client end what it has begun."""
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def _go_on(self, keeps: bool) -> None:
        connection = self._connect()
        while not self._end.wait(PAUSE):
            for host in (STEADY, TOGGLED):
                began = time.monotonic()
                try:
                    status = _status(connection, host)
                except (OSError, http.client.HTTPException) as error:
                    self.problems.append(f"{host}: dropped ({error!r})")
                    connection = self._connect()
                    continue
                self.asked += 1
                if host == TOGGLED:
                    self.toggled.append((began, time.monotonic(), status))
                elif status != 403:
                    self.problems.append(f"{host}: answered {status}, though it is listed all the time")
            if not keeps:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)


def _status(connection: http.client.HTTPConnection, host: str) -> int:
    connection.request("GET", f"http://{host}/", headers={"Host": host})
    answer = connection.getresponse()
    answer.read()
    return answer.status


class School:
    """A gateway of two workers on loopback, with one list that is fetched, and one that is imported."""

    def __init__(self, folder: Path, server: FeedServer) -> None:
        self.port = free_port()
        self.config, self.state = folder / "appliance.yaml", folder / "state"
        self.blocklists = folder / "blocklists"
        self.folder, self.server = folder, server
        shutil.copytree(ROOT / "blocklists", self.blocklists)
        catalogue = self.blocklists / "catalogue.yaml"
        known = yaml.safe_load(catalogue.read_text("utf-8"))
        feed = {"id": "fetched", "title": "T", "categories": ["gambling"], "licence": "MIT"}
        known["downloads"] = [feed | {"url": server.url("/list"), "ca_file": str(server.ca_file)}]
        catalogue.write_text(yaml.safe_dump(known), "utf-8")
        settings = {
            "school": {"name": "Hill School", "set": "westways"},
            "paths": {"state": "state", "profiles": str(ROOT / "profiles"), "blocklists": "blocklists"},
            "gateway": {"listen": f"127.0.0.1:{self.port}", "workers": 2, "floor_hits": {"hits": 0}},
            "identity": {"networks": [{"network": "127.0.0.0/8", "group": "staff", "name": "Here"}]},
            "metrics": {"listen": f"127.0.0.1:{free_port()}"},
        }
        self.config.write_text(yaml.safe_dump(settings), "utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of this school."""
        return [sys.executable, "-m", "appliance", *arguments, "--config", str(self.config)]

    def environment(self) -> dict[str, str]:
        """Return what a command of this school runs with."""
        kept = {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}
        return kept | {"PYTHONPATH": str(ROOT)}

    def bring(self, number: int) -> None:
        """Swap in edition `number` of the imported list, which names the toggled site when it is even."""
        names = [STEADY, OTHER.format(number), *([TOGGLED] if number % 2 == 0 else [])]
        source = self.folder / "source.txt"
        source.write_text("".join(f"{name}\n" for name in names), "ascii")
        now = datetime.now(UTC)
        import_list(
            source,
            Wanted("imported", "T", ("gambling",)),
            Paths(self.state),
            now=now,
            compile_all=lambda: compile_lists(self.blocklists, self.state, now.timestamp()),
        )

    def fetch(self, number: int) -> None:
        """Swap in an edition of the fetched list, with the command."""
        self.server.serve("/list", f"{STEADY}\nfetched-{number}.test\n")
        command = self.command("lists", "update", "fetched")
        done = subprocess.run(command, env=self.environment(), cwd=ROOT, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr

    def answers(self, host: str) -> int:
        """Return what the gateway answers for a host now; 0 while nobody does."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            try:
                return _status(connection, host)
            except OSError:
                return 0


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    server = FeedServer(tmp_path)
    made = School(tmp_path, server)
    made.bring(0)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            made.command("run"), env=made.environment(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            until(lambda: made.answers(STEADY) == 403, "the gateway serves", 90)
            yield made
        finally:
            process.terminate()
            process.wait(30)
            server.close()


def test_a_hundred_swaps_drop_nothing_and_leave_nothing_unjudged(school: School) -> None:
    """Lists are updated while pupils work; nobody notices, and each answer is of one edition or the other."""
    load = Load(school.port)
    load.start()
    swapped: list[tuple[float, float, bool]] = []
    try:
        for number in range(1, SWAPS - FETCHED + 1):
            began = time.monotonic()
            school.bring(number)
            swapped.append((began, time.monotonic(), number % 2 == 0))
            if number % (SWAPS // FETCHED) == 0:
                school.fetch(number)
        last = SWAPS - FETCHED
        until(lambda: school.answers(OTHER.format(last)) == 403, "the last edition in force", 10)
    finally:
        load.stop()
    assert not load.problems, load.problems[:5]
    assert load.asked > SWAPS
    assert {status == 403 for _, _, status in load.toggled} == {True, False}
    # An answer is wrong where no edition that was in force while it was asked, or shortly before, says so.
    for began, ended, status in load.toggled:
        assert (status == 403) in _in_force(swapped, began - GRACE, ended), (began, status)


def _in_force(swapped: list[tuple[float, float, bool]], began: float, ended: float) -> set[bool]:
    """Return whether the toggled site was listed, in each edition that was in force in that time."""
    listed = {True} if not swapped or swapped[0][1] > began else set[bool]()
    for number, (start, _, named) in enumerate(swapped):
        gone = swapped[number + 1][1] if number + 1 < len(swapped) else float("inf")
        if start <= ended and gone >= began:
            listed.add(named)
    return listed
