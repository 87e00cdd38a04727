from __future__ import annotations

from pathlib import Path

import pytest

from appliance import assembly, serving, workers
from appliance.cli import starting
from appliance.cli.main import run_cli
from appliance.events.errors import EventsError
from appliance.gateway.ca import AuthorityError
from appliance.gateway.listen import WorkerError
from tests.doubles.school import configuration, load_once


@pytest.fixture
def config(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration whose preparation does nothing, so that starting is quick."""
    monkeypatch.setattr(assembly, "prepare", lambda _settings: None)
    shipped = load_once(configuration(tmp_path_factory.getbasetemp()))
    monkeypatch.setattr(assembly, "load", lambda _path: shipped)
    return configuration(tmp_path)


@pytest.mark.slow
def test_workers_load_while_the_files_are_read(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longest begins first, so that the first page comes within three seconds."""
    done: list[str] = []
    monkeypatch.setattr(workers, "load", lambda: done.append("load"))
    monkeypatch.setattr(starting, "start", lambda _setup: done.append("start"))
    assert run_cli(["run", "--config", str(config)]) == 0
    assert done == ["load", "start"]


@pytest.mark.slow
@pytest.mark.parametrize("error", [WorkerError("port"), AuthorityError("ca.pem"), EventsError("damaged")])
def test_a_worker_that_cannot_serve_says_why(
    error: Exception, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot get better by trying again is status 2 and a line that says what to do."""

    def fail(_settings: object) -> None:
        raise error

    monkeypatch.setattr(serving, "work", fail)
    assert run_cli(["run", "worker", "--place", "1", "--config", str(config)]) == 2
    assert f"appliance: worker 1: {error}" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_alone_prepares_for_itself(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its own systemd unit a worker makes what is missing; no supervisor has done it."""
    done: list[str] = []
    monkeypatch.setattr(assembly, "prepare", lambda _settings: done.append("prepared"))
    monkeypatch.setattr(serving, "work", lambda _settings: done.append("work"))
    assert run_cli(["run", "worker", "--config", str(config)]) == 0
    assert done == ["prepared", "work"]
