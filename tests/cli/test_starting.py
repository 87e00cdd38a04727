from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import assembly, processes, workers
from appliance.cli import starting as verb
from appliance.cli.main import run_cli
from appliance.gateway.ca import AuthorityError
from appliance.supervisor import StartError
from tests.doubles.school import configuration, load_once

type Output = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration whose preparation does nothing, so that starting is quick."""
    monkeypatch.setattr(assembly, "prepare", lambda _settings: None)
    monkeypatch.setattr(workers, "load", lambda: None)
    shipped = load_once(configuration(tmp_path_factory.getbasetemp()))
    monkeypatch.setattr(assembly, "load", lambda _path: shipped)
    return configuration(tmp_path)


@pytest.mark.slow
def test_a_clean_run_tells_what_to_try(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """A new technician reads where the CA is, the proxy's address and commands to try; notes go to stderr."""
    prepared: list[object] = []
    monkeypatch.setattr(assembly, "prepare", prepared.append)

    def supervise(
        _loaded: object,
        _start: object,
        prepare: Callable[[], None],
        ready: Callable[[], None],
        check: list[str],
    ) -> None:
        assert check[-3:] == ["check", "--config", str(config)]
        prepare()
        ready()

    monkeypatch.setattr(processes, "supervise", supervise)
    assert run_cli(["run", "--config", str(config)]) == 0
    assert len(prepared) == 1
    told = capsys.readouterr()
    assert "The gateway of Westways is running. Ctrl-C ends it." in told.out
    assert "127.0.0.1:8080" in told.out
    assert "ca.pem" in told.out
    assert "gambling.example" in told.out
    assert "NOT COMPLIANT" in told.err
    assert told.err.endswith("appliance: ended\n")


@pytest.mark.slow
@pytest.mark.parametrize("error", [StartError("no port"), AuthorityError("ca.pem: restore it")])
def test_a_start_that_fails_says_why(
    error: Exception, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """A taken port or a broken CA is status 2 and one line."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(processes, "supervise", fail)
    assert run_cli(["run", "--config", str(config)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"appliance: {error}\n" in told.err


def test_two_gateways_do_not_share_a_state(tmp_path: Path) -> None:
    """A second start would wipe the first one's numbers; it is told how both can run."""
    with verb._only_one(tmp_path):
        with pytest.raises(StartError, match="set APPLIANCE_STATE to another folder"):
            verb._only_one(tmp_path)
        gc.collect()  # no file is left open behind the refusal
    with verb._only_one(tmp_path):
        pass


def test_root_does_not_start_the_gateway_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root writes into the state of the gateway's user would close the gate at its next start."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12_345, 12_345)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(StartError, match="belongs to the user"):
        verb._only_one(tmp_path)
    assert list(tmp_path.iterdir()) == []
