from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance import assembly, processes
from appliance.events.carried import Carried
from appliance.identity.stops import STEPS
from appliance.lists.compiler import CompileError
from appliance.lists.update import Means, Updater
from appliance.model.known import FloorState
from appliance.settings import load_settings
from tests.doubles.gateway import policy
from tests.doubles.people import NOW, TABLET, school
from tests.doubles.running import free_port, workers_of
from tests.doubles.school import configuration, edit

HOST = "127.0.0.1"


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for are calls and files, which set no event
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def beside(task: Any) -> Any:
    running = asyncio.ensure_future(task)
    yield running
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Numbers:
    """Metrics that keep every call by its name."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **named: self.calls.append((name, args, named))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [args for called, args, _ in self.calls if called == name]


class Tables:
    """Lists with one statutory list, whose state a test sets."""

    def __init__(self) -> None:
        self.state = FloorState.OK

    def refresh(self) -> bool:
        return True

    def status(self) -> Any:
        lost = self.state is not FloorState.OK
        floor = SimpleNamespace(
            lists=()
            if lost
            else (
                SimpleNamespace(id="iwf-development", entries=7, dated=time.time() - 60, mode="development"),
            ),
            age=60.0,
            state=self.state,
            mode="" if lost else "development",
        )
        return SimpleNamespace(lists=(SimpleNamespace(id="games", entries=3, age=5.0),), floor=floor)


async def test_the_state_of_the_lists_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that ages and a floor that is lost show in the numbers, and the made-up floor as what it is."""
    monkeypatch.setattr(processes, "_LIST_METRICS_SECONDS", 0.005)
    numbers, tables = Numbers(), Tables()
    settings: Any = SimpleNamespace(state=tmp_path)
    async with beside(processes._list_metrics(settings, policy(), tables, numbers)):  # type: ignore[arg-type]  # doubles
        await until(lambda: numbers.of("floor"))
        tables.state = FloorState.MISSING
        await until(lambda: ("iwf-development", FloorState.MISSING) in numbers.of("floor"))
    assert ("games", 3, 5.0) in numbers.of("list_in_force")
    aged = [args for args in numbers.of("list_in_force") if args[:2] == ("iwf-development", 7)]
    assert aged
    assert all(60 <= age < 120 for _, _, age in aged)
    assert ("floor_development", (), {"synthetic": True}) in numbers.calls
    (known,) = [named for name, _, named in numbers.calls if name == "know"][:1]
    assert known["lists"] == {"games", "iwf-development"}
    assert known["profiles"] == {"ks1", "ks2", "staff"}
    assert "requestheaders" in known["stages"]


@pytest.mark.parametrize("error", [OSError("disk"), CompileError("bad list")])
async def test_lists_that_cannot_be_made_anew_stay_as_they_are(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed compile is told and tried again; it ends neither the old lists nor the trying."""
    tried: list[bool] = []

    def fail(_settings: object, *, child: bool) -> None:
        tried.append(child)
        raise error

    monkeypatch.setattr(processes, "_REFRESH_SECONDS", 0.002)
    monkeypatch.setattr(assembly, "compile_lists", fail)
    async with beside(processes._refresh_floor(None)):  # type: ignore[arg-type]  # not looked at
        await until(lambda: len(tried) >= 2)
    assert tried[0] is True
    assert "the old ones stay in force" in caplog.text


async def test_an_audit_that_cannot_be_written_keeps_nobody_signed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S-07: what the audit cannot say yet of stops is told later; sessions that nobody uses end."""
    monkeypatch.setattr(processes, "_PEOPLE_SECONDS", 0.01)
    settings = load_settings(configuration(tmp_path)).settings
    made = school(settings.state)
    made.stops.freeze("bob", "a reason", by="head", now=NOW)
    Carried(made.trail, STEPS).add("freeze", "amy", by="head", at=NOW)  # power cut
    made.sessions.begin(made.add("zoe"), TABLET, time.time() - 86_400, time.time() + 9_999)
    lock = made.trail.path.with_name(".lock")
    lock.unlink()
    lock.mkdir()
    async with beside(processes._keep_people(settings, policy())):
        await until(lambda: not made.sessions.open(time.time()))
    assert "which stops were rolled back" in caplog.text


async def test_a_demo_that_cannot_be_served_is_no_reason_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    """The school's gateway does not end because the demo's port is taken."""
    await processes._demo(SimpleNamespace(demo=None))  # type: ignore[arg-type]  # nothing else is read
    async with await asyncio.start_server(lambda _r, w: w.close(), HOST, 0) as taken:
        address = taken.sockets[0].getsockname()
        settings: Any = SimpleNamespace(demo=SimpleNamespace(listen=address))
        await processes._demo(settings)
    assert "the demo site cannot be served" in caplog.text


# --- the whole gateway, for real ---


@dataclass
class Gateway:
    """A running gateway, and where it is."""

    process: subprocess.Popen[bytes]
    config: Path
    proxy: int
    metrics: int
    messages: Path

    def get(self, url: str) -> int:
        """Return the status that a browser behind the gateway gets."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": f"http://{HOST}:{self.proxy}"})
        )
        try:
            with opener.open(url, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def number(self, name: str) -> float:
        """Return one of the gateway's metrics."""
        with urllib.request.urlopen(f"http://{HOST}:{self.metrics}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} ")), -1.0)

    def workers(self) -> list[int]:
        return workers_of(self.process.pid)


def wait_for(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def start(config: Path, state: Path, messages: Path) -> subprocess.Popen[bytes]:
    with messages.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "appliance", "run", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "APPLIANCE_STATE": str(state)},
        )


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    proxy, metrics = free_port(), free_port()
    config = configuration(tmp_path, own_files=True)
    edit(config, "listen: 127.0.0.1:8080", f"listen: {HOST}:{proxy}\n  workers: 2")
    edit(config, "listen: 127.0.0.1:9464", f"listen: {HOST}:{metrics}")
    process = start(config, tmp_path / "running", tmp_path / "messages")
    assert process.stdout is not None
    try:
        assert b"is running. Ctrl-C ends it." in process.stdout.readline()
        yield Gateway(process, config, proxy, metrics, tmp_path / "messages")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.mark.slow
def test_the_gateway_runs_from_start_to_end(gateway: Gateway, tmp_path: Path) -> None:
    """One command starts it all, edits count or are told, a second is refused, and it ends cleanly."""
    assert gateway.get("http://gambling.example/") == 403
    assert gateway.get("http://filter.internal/") == 200
    assert gateway.number("gateway_workers_running") == 2
    assert gateway.number("gateway_floor_development") == 1

    again = start(gateway.config, tmp_path / "running", tmp_path / "again")
    assert again.communicate(timeout=30)[0] == b""
    assert again.returncode == 2
    assert "another gateway runs with" in (tmp_path / "again").read_text()
    other = start(gateway.config, tmp_path / "other", tmp_path / "again")
    assert other.communicate(timeout=60)[0] == b""
    assert other.returncode == 2
    assert f"cannot listen on {HOST}:{gateway.proxy}" in (tmp_path / "again").read_text()

    profile = gateway.config.parent / "profiles" / "westways" / "ks2.yaml"
    good = profile.read_text(encoding="utf-8")
    profile.write_text("profile: [", encoding="utf-8")
    wait_for(lambda: gateway.number("gateway_config_last_reload_successful") == 0)
    assert "the edit is not in force" in gateway.messages.read_text()
    assert gateway.get("http://gambling.example/") == 403
    profile.write_text(f"{good}# edited\n", encoding="utf-8")
    wait_for(lambda: gateway.number("gateway_config_last_reload_successful") == 1)

    workers = gateway.workers()
    assert len(workers) == 2
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(20) == 0
    assert gateway.messages.read_text().endswith("appliance: ended\n")
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.slow
def test_workers_do_not_outlive_a_gateway_that_is_killed(gateway: Gateway) -> None:
    """After a crash of the supervisor nothing is left on the port, in the way of the next start."""
    workers = gateway.workers()
    gateway.process.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    with socket.socket() as probe:
        probe.bind((HOST, gateway.proxy))


@pytest.mark.slow
def test_a_damaged_log_stops_the_start_in_words(tmp_path: Path) -> None:
    """A record that cannot be kept is no reason to filter without one, nor to restart for ever."""
    state = tmp_path / "running"
    state.mkdir()
    (state / "events.sqlite3").write_bytes(
        b"this is no database at all, but it is long enough to look like one"
    )
    config = configuration(tmp_path)
    edit(config, "listen: 127.0.0.1:8080", f"listen: {HOST}:{free_port()}\n  workers: 1")
    edit(config, "listen: 127.0.0.1:9464", f"listen: {HOST}:{free_port()}")
    process = start(config, state, tmp_path / "messages")
    assert process.communicate(timeout=60)[0] == b""
    said = (tmp_path / "messages").read_text()
    assert process.returncode == 2
    assert "events.sqlite3: damaged or no event log" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_broken_catalogue_is_a_sentence_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A slip in the catalogue under a running gateway is told with its line, and never as a traceback."""
    settings = assembly.load(configuration(tmp_path, own_files=True)).settings
    edit(tmp_path / "blocklists/catalogue.yaml", "lists:", "lits:")
    updater = Updater(Means(settings.blocklists, settings.state))
    assert processes._due(updater, settings) is False
    assert "unknown key 'lits'; did you mean 'lists'?" in caplog.text
    assert "Traceback" not in caplog.text
