"""A gateway that really runs: started, asked, watched and ended as a technician does it, with the command.

What lives only here: the command line as a journey uses it, and the processes behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from appliance.cli.log import as_line
from appliance.events.queries import LIMIT, open_reader
from appliance.events.record import Record
from tests.doubles.running import workers_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
"""Seconds after which something that must happen is said not to happen; no test measures time by it."""


def until[T](ask: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Ask until the answer is true, and return it; a failure says `what` did not happen."""
    end = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < end, f"did not happen within {seconds:g} s: {what}"
        time.sleep(0.05)


@dataclass
class Gateway:
    """One gateway in the namespace `place`, with files of its own in `folder`."""

    place: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "appliance.yaml"

    @property
    def state(self) -> Path:
        """Everything that it writes."""
        return self.folder / "state"

    @property
    def ca(self) -> Path:
        """The school's CA, which clients trust."""
        return self.state / "ca" / "ca.pem"

    def profile(self, name: str) -> Path:
        """Return a profile's file, such as `westways/ks2`; it is a copy that a test may edit."""
        return self.folder / "profiles" / f"{name}.yaml"

    def settle(self, settings: dict[str, Any]) -> None:
        """Write the configuration, beside copies of the profiles and lists that ship."""
        for name in ("profiles", "blocklists"):
            shutil.copytree(ROOT / name, self.folder / name)
        paths = {"state": "state", "profiles": "profiles", "blocklists": "blocklists"}
        self.config.write_text(yaml.safe_dump(settings | {"paths": paths}), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `appliance ...` in the gateway's place."""
        appliance = [sys.executable, "-m", "appliance", *arguments, "--config", str(self.config)]
        return ["ip", "netns", "exec", self.place, *appliance]

    def ask(self, *arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, with `said` on its standard input."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=_environment(),
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def explain(self, group: str, *urls: str) -> list[dict[str, Any]]:
        """Return what `appliance explain` says of each address, in order."""
        done = self.ask("explain", "-", "--as", group, said="".join(f"{url}\n" for url in urls))
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(urls)
        return answers

    def log(self, *, flagged: bool = False) -> list[dict[str, Any]]:
        """Return the log, oldest first, in the lines that `appliance log --json` prints."""

        async def read() -> list[Record]:
            async with open_reader(self.state) as reader:
                return await reader.accesses(flagged=flagged, limit=LIMIT)

        return [json.loads(as_line(record)) for record in asyncio.run(read())]

    def logged(self, wanted: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Return the newest log entry that fits; ordinary ones are written in batches, so wait for it."""
        (row,) = until(lambda: [row for row in self.log() if wanted(row)][-1:], f"in the log: {what}")
        return row

    def record_of(self, reference: str) -> dict[str, Any]:
        """Return the log entry with the reference that a page shows."""
        return self.logged(lambda row: row["reference"] == reference, reference)

    def said(self) -> str:
        """Return what it has printed on stderr so far."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it, and return once it serves."""
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("ab") as err:
            self.process = subprocess.Popen(
                self.command("run"),
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        until(self._serves, "the gateway serves", 60)

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        return "is running" in (self.folder / "stdout").read_text(encoding="utf-8")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def workers(self) -> list[int]:
        """Return the process ids of the workers that are there now."""
        assert self.process is not None
        return workers_of(self.process.pid)

    def memory(self) -> int:
        """Return how much memory of their own the workers use together, in KiB."""
        lines = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in self.workers()]
        return sum(int(text.partition("RssAnon:")[2].split()[0]) for text in lines)


def _environment() -> dict[str, str]:
    # The state folder is the configuration's; a variable of the test's own must not move it.
    kept = {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}
    return kept | {"PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    """Start a gateway, hand it out, and end it in any case."""
    try:
        gateway.start()
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.process.terminate()
            try:
                gateway.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                gateway.process.kill()
                gateway.process.wait()


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return Prometheus's text as name -> (labels, value)."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), float(sample.value)))
    return found
