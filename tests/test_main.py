from __future__ import annotations

import runpy
import sys

import pytest

import appliance


def test_the_package_runs_as_a_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m appliance` is the installed program, so that workers start from the same installation."""
    monkeypatch.setattr(sys, "argv", ["appliance", "--version"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("appliance", run_name="__main__")
    assert left.value.code == 0
    assert appliance.__version__ in capsys.readouterr().out
