from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import assembly, processes, workers
from appliance.cli import starting as verb
from appliance.cli.main import run_cli
from appliance.gateway.ca import AuthorityError
from appliance.settings import load_settings
from appliance.supervisor import StartError
from tests.doubles.school import ROOT, configuration, edit, load_once

type Output = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration whose preparation does nothing, so that starting is quick."""
    monkeypatch.setattr(assembly, "prepare", lambda _settings: None)
    monkeypatch.setattr(workers, "load", lambda: None)
    shipped = load_once(configuration(tmp_path_factory.getbasetemp()))
    monkeypatch.setattr(assembly, "load", lambda _path: shipped)
    return configuration(tmp_path)


def test_a_clean_run_tells_what_to_try(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """A new technician reads where the CA is, the proxy's address and commands to try; notes go to stderr."""
    prepared: list[object] = []
    monkeypatch.setattr(assembly, "prepare", prepared.append)

    def supervise(
        _loaded: object, _start: object, prepare: Callable[[], None], ready: Callable[[], None]
    ) -> None:
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


def without_proxy(path: Path) -> None:
    edit(path, "listen: 127.0.0.1:8080", "listen: null\n  transparent: '[::1]:8443'")


def as_shipped(_path: Path) -> None:
    """Change nothing."""


@pytest.mark.parametrize(
    ("change", "there", "missing"),
    [
        (without_proxy, "redirected connections are taken on [::1]:8443", "curl -x"),
        (as_shipped, "proxy address  127.0.0.1:8080", "redirected connections"),
    ],
)
def test_only_what_is_there_is_offered(
    tmp_path: Path, change: Callable[[Path], None], there: str, missing: str
) -> None:
    """Nobody is told to try a proxy that does not listen."""
    path = configuration(tmp_path)
    change(path)
    text = verb._what_to_try(load_settings(path).settings)
    assert there in text
    assert missing not in text


def test_the_demo_offers_its_own_site() -> None:
    """The first allowed page needs no internet."""
    text = verb._what_to_try(load_settings(ROOT / "deploy" / "demo.yaml").settings)
    assert "http://hello.example:8081/" in text
