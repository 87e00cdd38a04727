"""What keeps the quick suite a reflex: nothing is loaded, built or told that no quick test needs.

What lives only here: what is done otherwise when `-m "not slow"` is asked for, and for that question alone.
No test is left out by it: slow ones are not built instead of being built and dropped, and of several
processes each loads and runs its own share of the files instead of loading all of them.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, override

import pytest
from xdist.scheduler import EachScheduling

QUESTION = "not slow"
SHARE = "share"
"""What the first process tells each other one: which share is its own, and of how many."""

TEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)
SLOW_TEST = re.compile(r"^@pytest\.mark\.slow(?: *#.*)?$", re.MULTILINE)
SLOW_FILE = re.compile(r"^pytestmark = (?:pytest\.mark\.slow(?: *#.*)?$|\[pytest\.mark\.slow,)", re.MULTILINE)
SLOW_FOLDER = "journeys"
GATEWAY = re.compile(
    r"^gateway/|mitmproxy|tests\.gateway|tests\.doubles\.(?:addon|gateway)|appliance\.gateway"
    r"|^(?:from appliance|from appliance\.\w+) import .*\b(?:loaded|serving)\b",
    re.MULTILINE,
)
"""What tells, in a file's place or text, that it loads mitmproxy."""

MEMORY = Path("/dev/shm")
ROOM = 1 << 28
"""Where files cost no disk, and how many bytes must be free there: a run needs some millions."""

FEW = 20
"""How many dice a property test throws as a reflex."""

UNTOLD = 0.05
"""Seconds below which a step before or after a test is not worth a message."""


def asked(config: pytest.Config) -> bool:
    """Return whether the quick suite is what is asked for."""
    return bool(config.option.markexpr == QUESTION)


def whole(config: pytest.Config) -> bool:
    """Return whether all of the quick suite is asked for, so that it can be shared out by file."""
    # Without pytest's cache there is no choice by what failed last.
    chosen = any(getattr(config.option, name, False) for name in ("keyword", "lf", "failedfirst"))
    return asked(config) and not chosen and config.args_source is pytest.Config.ArgsSource.TESTPATHS


def only_shares_out(config: pytest.Config) -> bool:
    """Return whether this process runs no test itself: it starts the others and gathers what they tell."""
    return whole(config) and bool(getattr(config.option, "tx", ())) and not hasattr(config, "workerinput")


def all_slow(text: str) -> bool:
    """Return whether a file of tests, given as its text, holds slow ones alone."""
    return bool(SLOW_FILE.search(text)) or len(TEST.findall(text)) <= len(SLOW_TEST.findall(text))


@cache
def shares(tests: Path, count: int) -> tuple[frozenset[Path], ...]:
    """Share out the files with quick tests: as many pieces as processes, each about as long as the others.

    Folders stay together, and those that load the gateway, which takes longest: the fewer processes load it,
    the better.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py")}
    weights = {path: len(text) for path, text in texts.items() if not all_slow(text)}
    found: list[set[Path]] = [set() for _ in range(count)]
    passed, total = 0, sum(weights.values())
    loads = {
        path: GATEWAY.search(f"{path.relative_to(tests)}\n{texts[path]}") is not None for path in weights
    }
    for path in sorted(weights, key=lambda path: (not loads[path], path)):
        found[min(passed * count // total, count - 1)].add(path)
        passed += weights[path]
    return tuple(frozenset(share) for share in found)


def wanted(path: Path, config: pytest.Config) -> bool:
    """Return whether a file or folder may hold what this process is to run."""
    mine = getattr(config, "workerinput", {}).get(SHARE)
    share = shares(Path(__file__).parent, mine[1])[mine[0]] if mine is not None else None
    if not path.name.startswith("test_") or path.suffix != ".py":
        # What a folder's tests share is loaded with the folder: not for a share that has none of them.
        return path.name != SLOW_FOLDER and (share is None or any(path in file.parents for file in share))
    if share is not None:
        return path in share
    return not all_slow(path.read_text(encoding="utf-8"))


def is_slow(thing: object) -> bool:
    """Return whether a test, a class or a module is marked slow."""
    marks = getattr(thing, "pytestmark", ())
    return any(mark.name == "slow" for mark in (marks if isinstance(marks, list | tuple) else (marks,)))


def lighten(config: pytest.Config) -> None:
    """Leave out what costs each process a second: looking for garbage while modules load, reading sources.

    Hypothesis reads all our sources for constants to throw; the few dice of a reflex hit none of them.
    A tenth of the time is spent waiting for a disk: what is about disks and sudden ends is slow anyway.
    """
    gc.disable()
    if config.getoption("hypothesis_profile") is None and not only_shares_out(config):
        from hypothesis.internal.conjecture import providers  # noqa: PLC0415 - only where dice are thrown

        providers._get_local_constants = lambda: providers._local_constants
    if in_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if only_shares_out(config):
        gc.freeze()
    if whole(config):
        config.option.maxworkerrestart = "0"  # whoever stands in for a dead process has another share


def in_memory(memory: Path = MEMORY, room: int = ROOM) -> bool:
    """Return whether the tests' own files may stand in memory: small machines and containers have no room."""
    return os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free >= room


def dice(most: int) -> int:
    """Return how many dice a property test throws that throws `most` in CI: as a reflex only a few."""
    from hypothesis import settings  # noqa: PLC0415 - asked where a property test is, which has loaded it

    return most if settings.get_current_profile_name() == "thorough" else min(most, FEW)


def settle(config: pytest.Config) -> None:
    """Leave what was loaded out of every later look for garbage, and say little from now on."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = in_few_words(plugin.sendevent)


def in_few_words(send: Callable[..., None]) -> Callable[..., None]:
    """Tell pytest-xdist's first process how each test ended, and not that it began and had no trouble.

    It counts one report a test; the other four messages cost as much as the test.
    """

    def tell(name: str, **about: Any) -> None:
        report = about.get("data", {})
        if name in {"logstart", "logfinish"}:
            return
        step = name == "testreport" and report["when"] != "call" and report["outcome"] == "passed"
        if step and not report["sections"] and report["duration"] < UNTOLD:
            return
        send(name, **about)

    return tell


def short(report: object) -> dict[str, Any] | None:
    """Return a passed test's report as pytest-xdist sends it, without what only a failure is read for."""
    if not isinstance(report, pytest.TestReport) or report.outcome != "passed" or report.user_properties:
        return None
    wanted = ("nodeid", "location", "outcome", "when", "sections", "duration", "start", "stop")
    said = {name: getattr(report, name) for name in wanted}
    return {"$report_type": "TestReport", "keywords": {}, "longrepr": None, "user_properties": [], **said}


def tell_its_share(node: Any) -> None:
    """Tell a process which share is its own, before it starts; `node` is pytest-xdist's handle of it."""
    if whole(node.config):
        node.workerinput[SHARE] = (int(node.gateway.id.removeprefix("gw")), len(node.config.option.tx))


class Shares(EachScheduling):  # type: ignore[misc]  # pytest-xdist ships no types
    """Lets each process run all that it loaded, which is its share."""

    @override
    def schedule(self) -> None:
        session = self.config.pluginmanager.get_plugin("session")
        session.testscollected = sum(len(tests) for tests in self.node2collection.values())
        super().schedule()


def scheduler(config: pytest.Config, log: Any) -> Shares | None:
    """Return who gives out the tests where the files were shared out, or None for pytest-xdist's own way."""
    return Shares(config, log) if whole(config) else None
