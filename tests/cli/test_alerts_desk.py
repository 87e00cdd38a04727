"""Whoever works with the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.alerts_desk import Desk
from appliance.cli.setup import Setup
from tests.doubles.school import configuration


def test_the_commands_are_for_whoever_has_the_gateway_and_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sudo it is the person who stands in the audit, and not root; before a start the files count."""
    monkeypatch.setenv("SUDO_USER", "jo")
    setup = Setup()
    setup.config = configuration(tmp_path)
    desk = Desk(setup)
    assert (desk.staff.name, desk.staff.roles) == ("jo", None)
    assert len(desk._chosen().incidents.rows) == 32
