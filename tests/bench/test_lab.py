from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bench.bench_gateway import MOST, best, options_of
from tests.bench.lab import cpu_of_tree, tree
from tests.bench.lab_contenders import CONTENDERS
from tests.bench.lab_pages import PAGE_CONNECTIONS, PAGE_REQUESTS, PAGE_SITES, asked_on
from tests.bench.lab_workloads import WORKLOADS
from tests.bench.made import CLINICS


@pytest.mark.slow
def test_the_best_repeat_is_the_one_that_was_disturbed_least() -> None:
    """A slow moment of the machine must not count against whoever had its turn then."""
    figure = min(MOST)
    found = {"one": [{"page": 3.0, figure: 10.0}, {"page": 2.0, figure: 30.0}]}
    assert best(found, "one", "page") == 2.0
    assert best(found, "one", figure) == 30.0
    assert best(found, "one", "http2") is None


@pytest.mark.slow
def test_a_quick_look_can_be_had() -> None:
    """Whoever changes one thing measures that thing, and not everything for half an hour."""
    chosen = options_of(["--secs", "2", "--repeats", "1", "--workloads", "page,new", "--contenders", "squid"])
    assert (chosen.secs, chosen.repeats) == (2, 1)
    assert chosen.workloads == [name for name in WORKLOADS if name in {"page", "new"}]
    assert chosen.contenders == ["squid"]
    assert options_of([]).contenders == [*CONTENDERS]


@pytest.mark.slow
def test_what_nobody_measures_is_refused_with_what_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a slip in it would otherwise be a run that measures nothing."""
    with pytest.raises(SystemExit):
        options_of(["--workloads", "pages"])
    assert "keep-alive" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_page_is_what_the_figures_say() -> None:
    """The page stands in every comparison: forty requests, two megabytes, a third of its sites unopened."""
    asked = [path for at in range(PAGE_CONNECTIONS) for path, _ in asked_on(at)]
    assert len(asked) == PAGE_REQUESTS
    size = sum(size for at in range(PAGE_CONNECTIONS) for _, size in asked_on(at))
    assert 1.9e6 < size < 2.1e6
    unread = [name for name in PAGE_SITES if name.endswith(CLINICS)]
    assert len(unread) * 3 == len(PAGE_SITES)


@pytest.mark.slow
def test_a_contender_is_its_whole_family() -> None:
    """A program that leaves its work to children would look cheap otherwise."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        family = tree(os.getpid())
        assert child.pid in family
        assert cpu_of_tree(os.getpid()) > 0
        child.communicate(b"\n")
