"""The readers of the door and the lean lane under mutated bytes, for a bounded while."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import fuzz

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LED, RUNS = 20_000, 5000
"""Tries led by coverage, and blind ones; `python -m tests.gateway.fuzz TARGET` goes on without end."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_no_bytes_bring_a_reader_to_a_fault_or_to_another_reading(target: str, tmp_path: Path) -> None:
    """Whatever anybody sends is read in one way or refused; led by coverage, from others' tests."""
    if importlib.util.find_spec("atheris") is None:  # it is not made for every kind of machine
        fuzz.mutated(target, RUNS * 10, seed=4)
        return
    for number, seed in enumerate(fuzz.seeds(target)):
        (tmp_path / str(number)).write_bytes(seed)
    # With the same dice each time: what fails was brought by a change, and fails again when it is looked at.
    bounds = [f"-runs={LED}", "-seed=7", "-max_total_time=60", "-max_len=4096"]
    options = [*bounds, f"-artifact_prefix={tmp_path}/", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.gateway.fuzz", target, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stderr.splitlines()[-1])


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_blindly_mutated_bytes_are_read_in_one_way(target: str) -> None:
    """Also without a compass: the same claims, with the same dice each time."""
    fuzz.mutated(target, RUNS, seed=len(target))
