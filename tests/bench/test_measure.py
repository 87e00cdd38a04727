from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import measure
from tests.bench.made import CATEGORIES, made, of_category, requests
from tests.bench.measure import Reach, Report, give_up, percentile


@pytest.mark.parametrize(("share", "expected"), [(0.001, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    """A tail that is off by one hides the worst sample, which is the one that pupils feel."""
    assert percentile([float(value) for value in range(1, 101)], share) == expected


def test_a_figure_that_was_not_reached_is_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark reports what is so, and never fails because a machine is slow."""
    monkeypatch.setattr(measure, "KEPT", tmp_path)
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    report = Report("slow")
    report.reach("start", 3.5, 3.0, "s")
    report.reach("rate", 2500.0, 2000.0, "1/s", least=True)
    report.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if "3.5" in line or "2500" in line] == ["NO", "yes"]
    assert len(json.loads((tmp_path / "slow.json").read_text())["tables"]["Reach"]) == 2


@pytest.mark.parametrize(
    ("value", "least", "reached"),
    [(2, False, True), (2, True, True), (2.1, False, False), (1.9, True, False)],
)
def test_a_reach_is_met_on_its_line(value: float, least: bool, reached: bool) -> None:
    """The figure itself counts as reached, from either side."""
    assert Reach("x", value, 2, "s", least).reached is reached


def test_what_is_missing_ends_the_benchmark_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody without the test material reads what to do, and no traceback."""
    with pytest.raises(SystemExit) as ended:
        give_up("the lists are missing")
    assert ended.value.code == 2
    assert "the lists are missing" in capsys.readouterr().err


def test_names_and_requests_are_the_same_each_time() -> None:
    """Figures of two days can be compared only where both days asked the same."""
    first, second = made(500, 100), made(500, 100)
    assert first == second
    assert requests(first, 50) == requests(second, 50)
    assert not set(first.listed) & set(first.unlisted)
    assert sum(len(of_category(first, category)) for category in CATEGORIES) == 500
