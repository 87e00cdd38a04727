"""The gateway keeps its lists up to date by itself, and tells how that goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.doubles.feeds import FeedServer
from tests.doubles.running import free_port
from tests.journeys.running import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PLAIN = "http://floor-supplied.example/page\nhttp://other.floor-supplied.example/\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FeedServer]:
    made = FeedServer(tmp_path)
    yield made
    made.close()


class School:
    """A gateway on loopback with two feeds: a list, and a statutory list that is supplied."""

    def __init__(self, folder: Path, server: FeedServer) -> None:
        self.proxy, self.metrics = free_port(), free_port()
        self.config, self.state = folder / "appliance.yaml", folder / "state"
        shutil.copytree(ROOT / "blocklists", folder / "blocklists")
        catalogue = folder / "blocklists" / "catalogue.yaml"
        known = yaml.safe_load(catalogue.read_text("utf-8"))
        common = {"ca_file": str(server.ca_file), "title": "T"}
        mine = {"id": "mine", "categories": ["gambling"], "licence": "MIT", "url": server.url("/list")}
        known["downloads"] = [mine | common]
        known["floor"][0] = common | {
            "id": "supplied-list",
            "category": "csam",
            "mode": "supplied",
            "url": server.url("/floor"),
        }
        catalogue.write_text(yaml.safe_dump(known), "utf-8")
        settings = {
            "school": {"name": "Hill School", "set": "westways"},
            "paths": {"state": "state", "profiles": str(ROOT / "profiles"), "blocklists": "blocklists"},
            "gateway": {"listen": f"127.0.0.1:{self.proxy}", "workers": 1},
            "identity": {"networks": [{"network": "127.0.0.0/8", "group": "staff", "name": "Here"}]},
            "lists": {"updates": ["mine"]},
            "metrics": {"listen": f"127.0.0.1:{self.metrics}"},
        }
        self.config.write_text(yaml.safe_dump(settings), "utf-8")

    def told(self) -> str:
        """Return the metrics' text, empty while there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=60) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            return ""

    def status(self, address: str) -> int:
        """Return what the gateway answers for an address; 0 while nobody does."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{self.proxy}"})
        )
        try:
            with opener.open(address, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def test_it_updates_by_itself_and_says_how_that_goes(tmp_path: Path, server: FeedServer) -> None:
    """The gate is closed until the statutory list has come, then judges by both; a failure is a metric."""
    server.serve("/list", "a-new-bet.example\n")
    server.serve("/floor", b"", status=503)
    school = School(tmp_path, server)
    environment = {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}
    command = [sys.executable, "-m", "appliance"]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [*command, "run", "--config", str(school.config)],
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        until(lambda: school.status("http://any.example/") == 503, "the closed gate", 90)
        failed = 'gateway_list_update_failures_total{list="supplied-list"} 1.0'
        until(lambda: failed in school.told(), "the metric of the failure", 60)
        assert "the server answered 503" in (tmp_path / "log").read_text("utf-8")
        server.serve("/floor", PLAIN)
        done = subprocess.run(
            [*command, "lists", "update", "supplied-list", "--config", str(school.config)],
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        until(lambda: school.status("http://a-new-bet.example/") == 403, "the new list in force")
        assert school.status("http://floor-supplied.example/page") == 403
        until(
            lambda: 'gateway_floor_mode{list="supplied-list",mode="supplied"} 1.0' in school.told(),
            "the mode among the metrics",
        )
    finally:
        process.terminate()
        process.wait(20)
        log.close()
    assert b"floor-supplied.example" not in b"".join(
        path.read_bytes() for path in school.state.rglob("*") if path.is_file()
    )
