"""A term lived through by the real rules: nothing serious is missed, and nobody is flooded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.school import configuration, load_once
from tests.doubles.term import live, make

pytestmark = pytest.mark.slow  # each lives through weeks of a school


@pytest.mark.parametrize("seed", [7, 8])
def test_no_planted_theme_is_missed_among_the_slips_of_weeks(tmp_path: Path, seed: int) -> None:
    """DFE-M1, A6: every serious matter is told, under its theme, while slips stay few alerts."""
    loaded = load_once(configuration(tmp_path))
    chosen = loaded.policy.sets["westways"]
    term = make(loaded.policy, chosen, pupils=60, weeks=3, each=3, seed=seed)
    found = live(term, chosen, tmp_path / "state")
    assert found.missed == []
    assert len(term.planted) == 36
    assert found.cases < len(term.records) / 3
    # What is planted alone is 20 alerts for 100 pupils a week, in so small a school.
    assert found.per_100_a_week < 60


def test_a_term_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    """A figure that was reported once can be measured again."""
    loaded = load_once(configuration(tmp_path))
    chosen = loaded.policy.sets["westways"]
    one, two = (make(loaded.policy, chosen, pupils=10, weeks=2, each=1) for _ in range(2))
    assert one == two
