"""Tests of `appliance selftest` as a technician types it: what failed is told, and every run is on record."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.settings import load_settings
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]

PROBES = """
selftest:
  probes:
    - {title: Stand-in, address: "http://floor-test.example/listed/page.html", expect: statutory}
    - {title: Adult content, category: pornography}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration whose gateway does not run."""
    path = configuration(tmp_path, changes={"listen": "127.0.0.1:9"})
    text = path.read_text(encoding="utf-8").replace(
        "metrics:\n  listen: 127.0.0.1:9\n", "metrics:\n  listen: 127.0.0.1:9464\n"
    )
    path.write_text(text + PROBES, encoding="utf-8")
    return path


def run(config: Path, *arguments: str) -> int:
    return run_cli(["selftest", *arguments, "--config", str(config)])


@pytest.mark.slow
def test_a_run_says_what_failed_and_is_on_record(config: Path, capsys: Output) -> None:
    """DFE-V4, S-50: a gateway that does not answer is a test that failed, with its reason, for ever."""
    assert run(config, "run", "--yes") == 1
    told = capsys.readouterr().out
    assert "WRONG" in told
    assert "1 not as they should be" in told
    noted = Trail(load_settings(config).settings.state).last("selftest")
    assert noted is not None
    assert (noted["whom"], noted["gateway"], noted["failed"]) == ("failed", "asked", 1)
    assert "Stand-in, the gateway: no answer" in noted["what_failed"]
    assert "ks2" in noted["groups"]


DELIVERING = """
alerts:
  deliver: true
  roles: {dsl: [dsl@school.example]}
  mail: {server: "mail.school.example:587", sender: filter@school.example}
"""


@pytest.mark.slow
def test_the_safeguarding_lead_is_not_surprised(
    config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where alerts are delivered, a test that would alarm somebody waits for a yes."""
    config.write_text(config.read_text(encoding="utf-8") + DELIVERING, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    status = run(config, "run")
    said = capsys.readouterr().err
    assert (status, "will be told" in said) == (130, True), said
    assert Trail(load_settings(config).settings.state).last("selftest") is None


@pytest.mark.slow
def test_what_somebody_tried_on_a_device_is_on_record(config: Path, capsys: Output) -> None:
    """The certificate of testfiltering.com belongs to a device, a place and a group."""
    assert run(config, "list") == 1
    assert "no test is on record" in capsys.readouterr().err
    what = ("testfiltering.com", "--outcome", "passed", "--on", "tablet 14, library", "--as", "ks2")
    assert run(config, "record", *what, "--note", "certificate in the safe") == 0
    assert run(config, "record", *what[:4], " ", "--as", "ks2") == 2
    assert run(config, "record", *what[:6], " ") == 2
    assert run(config, "list") == 0
    assert "tablet 14" in capsys.readouterr().out
    assert run(config, "list", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["whom"], entry["on"], entry["group"]) == ("passed", "tablet 14, library", "ks2")


@pytest.mark.slow
def test_a_category_that_is_not_there_makes_no_record(config: Path, capsys: Output) -> None:
    """A slip is told with its place, and counts as no test."""
    text = config.read_text(encoding="utf-8").replace("category: pornography", "category: pornografy")
    config.write_text(text, encoding="utf-8")
    assert run(config, "run", "--yes") == 2
    assert "pornografy" in capsys.readouterr().err
    assert Trail(load_settings(config).settings.state).last("selftest") is None
