"""Tests of `appliance people second-factor` as a technician types it: shown once, each change audited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.settings import load_settings
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a school with a safeguarding lead and a pupil."""
    path = configuration(tmp_path)
    for name, group, kind in (("m.lead", "staff", "staff"), ("amy", "ks2", "individual")):
        assert run_cli(["people", "add", name, "--group", group, "--kind", kind, "--config", str(path)]) == 0
    return path


def run(config: Path, *arguments: str) -> int:
    return run_cli(["people", "second-factor", *arguments, "--config", str(config)])


def test_it_is_shown_once_and_replaced_with_a_reason(config: Path, capsys: Output) -> None:
    """CY-8: who made, replaced and took away a factor, and why, stands in the audit; the secret does not."""
    capsys.readouterr()
    assert run(config, "M.Lead") == 0
    first = re.findall(r"^secret +([A-Z2-7]{32})$", capsys.readouterr().out, re.MULTILINE)
    assert len(first) == 1
    assert run(config, "m.lead") == 2
    assert "say why" in capsys.readouterr().err
    assert run(config, "m.lead", "--reason", "lost phone") == 0
    assert first[0] not in capsys.readouterr().out
    assert run(config, "m.lead", "--remove", "--reason", "left the school") == 0
    assert run(config, "m.lead", "--remove") == 2
    trail = Trail(load_settings(config).settings.state)
    noted = [(one["what"], one.get("reason")) for one in trail.entries() if "factor" in one["what"]]
    assert noted == [
        ("second-factor", None),
        ("second-factor", "lost phone"),
        ("second-factor-removed", "left the school"),
    ]
    assert first[0] not in trail.path.read_text(encoding="utf-8")


def test_a_pupil_has_none(config: Path, capsys: Output) -> None:
    """The pages of cases are for staff, whatever somebody types; and who is not there is told so."""
    assert run(config, "amy") == 2
    assert "no staff account" in capsys.readouterr().err
    assert run(config, "nobody") == 2
