"""Starting and ending: cleanly, readably, and with nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.journeys.lab import EXPLICIT, METRICS, TRANSPARENT, Lab
from tests.journeys.network import GATEWAY
from tests.journeys.running import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def started(brief_lab: Lab) -> Lab:
    """A gateway that runs, whatever the test before did to it."""
    process = brief_lab.gateway.process
    if process is None or process.poll() is not None:
        brief_lab.gateway.start()
    return brief_lab


def alive(pids: list[int]) -> list[int]:
    """Return which of these processes are there."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def check_nothing_is_left(lab: Lab, pids: list[int]) -> None:
    """Check that all processes have gone and all ports are free."""
    until(lambda: not alive(pids), "all processes have gone")
    with lab.network.inside(lab.network.gateway):
        for port in (EXPLICIT, TRANSPARENT, METRICS):
            socket.create_server((GATEWAY, port)).close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_whatever_is_going_on(started: Lab, number: signal.Signals) -> None:
    """Ctrl-C and `systemctl stop` end it amid a download, and leave nothing that hinders the next start."""
    command = ["ip", "netns", "exec", started.network.client, "curl", "-s", "-o", "/dev/null"]
    command += ["-x", f"http://{GATEWAY}:{EXPLICIT}", "http://education.example/slow"]
    pids = [*started.gateway.workers(), started.gateway.process.pid if started.gateway.process else 0]
    assert len(pids) in (3, 4)  # the supervisor, two workers, and one in reserve by now or soon
    with subprocess.Popen(command) as download, started.dial():  # and a connection that says nothing
        until(lambda: started.gateway.log() is not None, "the log can be read")
        assert started.gateway.stop(number) == 0
        assert download.wait(timeout=60) != 0
    assert "appliance: ended" in started.gateway.said()
    assert "Traceback" not in started.gateway.said()
    check_nothing_is_left(started, pids)


def test_what_was_asked_just_before_the_end_is_on_record(started: Lab) -> None:
    """Ordinary accesses wait to be written; ending writes them."""
    for number in range(20):
        assert started.curl(f"http://education.example/last-{number}").status == 200
    assert started.gateway.stop() == 0
    urls = {row["url"] for row in started.gateway.log()}
    assert {f"http://education.example/last-{number}" for number in range(20)} <= urls


def test_workers_end_when_their_supervisor_is_killed(started: Lab) -> None:
    """A worker without a supervisor would keep an old policy, and the port against the next start."""
    assert started.gateway.process is not None
    workers = started.gateway.workers()
    os.kill(started.gateway.process.pid, signal.SIGKILL)
    started.gateway.process.wait()
    check_nothing_is_left(started, workers)


def test_a_second_start_with_the_same_state_is_refused(started: Lab) -> None:
    """Two gateways on one state would publish policies under each other."""
    config = yaml.safe_load(started.gateway.config.read_text(encoding="utf-8"))
    other = started.gateway.folder / "other.yaml"
    config["gateway"] |= {"listen": f"{GATEWAY}:8090", "transparent": None}
    config["metrics"]["listen"] = f"{GATEWAY}:9465"
    other.write_text(yaml.safe_dump(config), encoding="utf-8")
    check_refused(started, other, "another gateway runs", "APPLIANCE_STATE")


@pytest.mark.parametrize("key", ["listen", "transparent", "metrics"])
def test_a_port_that_is_taken_is_named(started: Lab, key: str) -> None:
    """A technician who starts a second gateway, or has another proxy, learns which port it is about."""
    config = yaml.safe_load(started.gateway.config.read_text(encoding="utf-8"))
    taken = config["metrics"]["listen"] if key == "metrics" else config["gateway"][key]
    config["paths"]["state"] = "another-state"
    config["gateway"] |= {"listen": f"{GATEWAY}:8090", "transparent": None}
    config["metrics"]["listen"] = f"{GATEWAY}:9465"
    config["metrics" if key == "metrics" else "gateway"]["listen" if key != "transparent" else key] = taken
    other = started.gateway.folder / "other.yaml"
    other.write_text(yaml.safe_dump(config), encoding="utf-8")
    check_refused(started, other, "cannot listen on", taken.rpartition(":")[2])


def check_refused(lab: Lab, config: Path, *words: str) -> None:
    """Check that a start is refused with these words, and that the gateway which runs is not disturbed."""
    command = [
        str(config) if part == str(lab.gateway.config) else part for part in lab.gateway.command("run")
    ]
    environment = {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr
    assert not re.search(r"Traceback|File \"", done.stderr)
    assert lab.curl("https://education.example/").status == 200
    assert lab.total("gateway_workers_running") == 2
