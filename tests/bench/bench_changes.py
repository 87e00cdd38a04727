"""How soon a change is in force: a good edit of a profile, and a worker that was killed.

An edit: from saving the file to the first answer by the new rule, as a client sees it, with two workers and
UT1 compiled. A death: from SIGKILL until both workers serve again, as the metrics say.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import yaml

from appliance.settings import Settings, load_settings
from tests.bench import states
from tests.bench.measure import KEPT, ROOT, give_up, report
from tests.bench.programs import appliance, configure, started, until
from tests.doubles.running import workers_of

EDITS, DEATHS = 10, 5
EDIT_REACH, DEATH_REACH = 1.0, 2.0
"""Seconds."""

_REQUEST = b"GET http://gambling.example:1/ HTTP/1.1\r\nHost: gambling.example:1\r\nAccept: image/*\r\n\r\n"
_PATIENCE = 30.0


def main() -> None:
    """Measure, print, keep."""
    with report("changes") as done:
        folder = KEPT / "changes"
        config = _configured(folder)
        settings = load_settings(config).settings
        said = folder / "run.log"
        with started(appliance("run", config=config), said) as process:
            until(lambda: b"is running" in said.read_bytes(), process, said, "the announcement")
            edits = _edits(settings, folder / "profiles" / "westways" / "_everyone.yaml")
            deaths = _deaths(settings, process)
        done.table(
            "Seconds until a change is in force",
            [
                {
                    "change": "a good edit",
                    "best": min(edits),
                    "median": statistics.median(edits),
                    "worst": max(edits),
                },
                {
                    "change": "a killed worker",
                    "best": min(deaths),
                    "median": statistics.median(deaths),
                    "worst": max(deaths),
                },
            ],
        )
        done.reach(f"a good edit in force (worst of {EDITS})", max(edits), EDIT_REACH, "s")
        done.reach(f"a killed worker replaced (worst of {DEATHS})", max(deaths), DEATH_REACH, "s")


def _configured(folder: Path) -> Path:
    config = configure(folder, states.with_ut1(), workers=2, ports=[1, 80, 443])
    shutil.rmtree(folder / "profiles", ignore_errors=True)
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    settings["paths"]["profiles"] = str(folder / "profiles")
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def _edits(settings: Settings, profile: Path) -> list[float]:
    blocked = profile.read_text(encoding="utf-8")
    opened = blocked.replace("  gambling:\n    rating: unacceptable", "  gambling:\n    rating: acceptable")
    if opened == blocked:
        give_up(f"{profile} has no such rule for gambling any more")
    seconds = []
    for at in range(EDITS):
        wanted = bool(at % 2)  # the first edit opens what is blocked
        temporary = profile.with_suffix(".new")
        temporary.write_text(blocked if wanted else opened, encoding="utf-8")
        temporary.replace(profile)
        # Two workers share the port: both must answer by the new rule, ten times over.
        seconds.append(_until(lambda: all(_blocked(settings) is wanted for _ in range(10))))  # noqa: B023 - called at once
    return seconds


def _blocked(settings: Settings) -> bool | None:
    # None when nobody answered, which is neither: a worker that is gone shows no edit in force.
    assert settings.listen.explicit is not None
    with contextlib.suppress(OSError), socket.create_connection(settings.listen.explicit, 5) as client:
        client.sendall(_REQUEST)
        status = client.recv(4096)
        return status.startswith(b"HTTP/1.1 403") if status.startswith(b"HTTP/1.1 ") else None
    return None


def _deaths(settings: Settings, process: subprocess.Popen[bytes]) -> list[float]:
    seconds = []
    for _ in range(DEATHS):
        victim, other = workers_of(process.pid)
        os.kill(victim, signal.SIGKILL)

        def whole(gone: int = victim, stays: int = other) -> bool:
            there = workers_of(process.pid)
            return gone not in there and stays in there and len(there) == 2 and _serving(settings) == 2

        seconds.append(_until(whole))
        time.sleep(1.0)
    return seconds


def _serving(settings: Settings) -> float:
    host, port = settings.metrics.listen
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("gateway_workers_running "):
                return float(line.rsplit(" ", 1)[1])
    return 0.0


def _until(true: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > _PATIENCE:
            give_up("the change did not come into force")
        time.sleep(0.01)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
