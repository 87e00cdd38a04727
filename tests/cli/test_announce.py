from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.cli.announce import what_to_try
from appliance.settings import load_settings
from tests.doubles.school import ROOT, configuration, edit

DEMO = ROOT / "deploy" / "demo.yaml"


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
    text = what_to_try(load_settings(path).settings, path)
    assert there in text
    assert missing not in text


@pytest.mark.slow
def test_the_demo_offers_its_own_site() -> None:
    """The first allowed page needs no internet."""
    text = what_to_try(load_settings(DEMO).settings, DEMO)
    assert "http://hello.example:8081/" in text


def test_commands_ask_this_very_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is copied from the screen names the file and the state of this very gateway."""
    monkeypatch.setenv("APPLIANCE_STATE", "/tmp/a b")
    path = configuration(tmp_path)
    text = what_to_try(load_settings(path).settings, path)
    assert "APPLIANCE_STATE='/tmp/a b' " in text
    assert f"explain --config {path} --as ks2" in text
    monkeypatch.delenv("APPLIANCE_STATE")
    assert "--config" not in what_to_try(load_settings(DEMO).settings, DEMO)
