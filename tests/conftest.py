"""How the tests are run: the same dice every time in CI, fresh ones at a desk, and no state shared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests import reflex


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have the dice ready before anybody asks for some of them; be quick where that is asked for."""
    # Whoever only shares out loads no dice, unless it is told which: the library then wants to know them.
    if not reflex.only_shares_out(config) or config.getoption("--hypothesis-profile", None):
        _lay_out_dice()
    if reflex.asked(config):
        reflex.lighten(config)


def _lay_out_dice() -> None:
    from hypothesis import settings  # noqa: PLC0415 - takes longer to load than pytest: not where no test runs

    # A property test may be slow on a busy machine without being wrong; a hang is pytest-timeout's to find.
    # The reflex throws a few dice; `make test` throws many, and in CI the same ones each time.
    same = bool(os.environ.get("CI"))
    settings.register_profile("reflex", deadline=None, max_examples=reflex.FEW)
    settings.register_profile("thorough", deadline=None, derandomize=same, print_blob=True)
    settings.load_profile("reflex")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Load no file without a quick test where those are asked for, nor another process's share."""
    return True if reflex.asked(config) and not reflex.wanted(collection_path, config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, obj: object
) -> list[pytest.Item] | None:
    """Build no slow test where none is asked for: building and dropping one takes as long as running it."""
    if not reflex.asked(collector.config):
        return None
    return [] if reflex.is_slow(obj) or reflex.is_slow(collector.obj) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the run itself quick as well."""
    if reflex.asked(session.config):
        reflex.settle(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_report_to_serializable(config: pytest.Config, report: object) -> dict[str, Any] | None:
    """Say little of what passed."""
    return reflex.short(report) if reflex.asked(config) else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each process its share of the quick suite."""
    reflex.tell_its_share(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Let each process run its share."""
    return reflex.scheduler(config, log)


_numbers = count()


@pytest.fixture(scope="session")
def _states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states")


@pytest.fixture(autouse=True)
def _state_of_its_own(request: pytest.FixtureRequest, _states: Path) -> Iterator[None]:
    """No test may touch the state of a gateway that runs beside it, nor be changed by it or by another test.

    Where a test has a folder of its own, the state is in there. Elsewhere it is a name alone, for making
    and removing a folder takes longer than most tests: whoever writes there makes it.
    """
    own = "tmp_path" in request.fixturenames
    folder = request.getfixturevalue("tmp_path") if own else _states / str(next(_numbers))
    before = os.environ.get("APPLIANCE_STATE")
    os.environ["APPLIANCE_STATE"] = str(folder / "state")
    yield
    del os.environ["APPLIANCE_STATE"]
    if before is not None:
        os.environ["APPLIANCE_STATE"] = before
