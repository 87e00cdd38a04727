"""How the tests are run: the same dice every time in CI, fresh ones at a desk, and no state shared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A property test may be slow on a busy machine without being wrong; a hang is pytest-timeout's to find.
# The reflex throws a few dice; `make test` throws many, and in CI the same ones each time.
settings.register_profile("reflex", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("reflex")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the journeys where no slow test is asked for: all are slow, and loading them takes long."""
    return True if config.option.markexpr == "not slow" and collection_path.name == "journeys" else None


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the state of a gateway that runs beside it, nor be changed by it."""
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "state"))
