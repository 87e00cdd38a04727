"""A keeper of alerts that really runs, beside a log that a test writes and a mailbox of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme
import yaml

from appliance import assembly
from appliance.alerts.book import Book
from appliance.model.category import Severity
from appliance.model.event import Access
from appliance.model.person import Person
from appliance.settings import Settings, load_settings
from tests.doubles.alerts import DEPUTY, DSL, HEAD
from tests.doubles.events import BLOCKED, PUPIL, access
from tests.doubles.mailbox import Mailbox
from tests.doubles.school import ROOT, configuration

PATIENCE = 40.0
HARM = replace(BLOCKED, category="self_harm", severity=Severity.CRITICAL)
ROLES = {"dsl": [DSL], "deputy": [DEPUTY], "head": [HEAD], "online_safety": [DSL]}


@dataclass
class Keeper:
    """One keeper's process, its files in `folder`."""

    config: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        return load_settings(self.config).settings

    @property
    def book(self) -> Book:
        return Book(self.settings.state)

    def prepare(self, *confirmed: str) -> None:
        """Make what the supervisor would have made, with these addresses confirmed."""
        settings = self.settings
        settings.state.mkdir(exist_ok=True)
        assembly.snapshots(settings).publish()
        self.book.prepare()
        with self.book.writing() as db:
            for address in confirmed:
                db.execute("INSERT INTO recipient VALUES (?, 0, 0)", (address,))

    def start(self) -> None:
        """Start it; it ends with `stop` or `kill`."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance", "run", "keeper", "--config", str(self.config)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        if self.process.stdin is not None:
            self.process.stdin.close()
        return status

    def kill(self) -> None:
        """End it as a power cut would."""
        self.stop(signal.SIGKILL)

    def sent(self) -> list[tuple[int, str, str]]:
        """Return what the outbox holds: episode, to whom, how it went."""
        with self.book.reading() as db:
            return list(db.execute("SELECT episode, address, state FROM outbox ORDER BY id"))


def seen(number: int, who: str = "") -> Access:
    """Return one access to self-harm by somebody of their own."""
    person: Person = replace(PUPIL, name=who or f"Pupil {number}")
    return access(number, HARM, person=person, at=datetime.now(UTC))


@contextmanager
def prepared(folder: Path, mailbox: Mailbox, ca: trustme.CA) -> Iterator[Keeper]:
    """Give a keeper that can be started; it ends with the block."""
    made = keeper(folder, mailbox, ca)
    made.prepare(DSL, DEPUTY, HEAD)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def keeper(folder: Path, mailbox: Mailbox, ca: trustme.CA, **alerts: Any) -> Keeper:
    """Write a configuration whose alerts go to `mailbox`, and return the keeper that will read it."""
    roots = folder / "roots.pem"
    ca.cert_pem.write_to_path(str(roots))
    mail = {
        "server": "127.0.0.1",
        "port": mailbox.port,
        "sender": "gateway@school.example",
        "roots": str(roots),
    }
    section = {
        "deliver": True,
        "roles": ROLES,
        "heartbeat": None,
        "mail": {**mail, "timeout_seconds": 5.0},
        **alerts,
    }
    path = configuration(folder)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**values, "alerts": section}), encoding="utf-8")
    return Keeper(path)


async def until(ask: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until the answer is true; a failure says what did not happen."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not ask():
        assert loop.time() < end, f"did not happen within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)
