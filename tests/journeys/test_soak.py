"""A worker that is asked all day stays as it was: no memory, no descriptor, no byte goes astray."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.soak import Soak
from tests.journeys.lab import built

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REQUESTS, ROUNDS = 4000, 5
GROWN = 12.0
"""MiB; so short a run shows what is kept of each connection, not what a month makes of it."""


def test_a_worker_that_has_carried_all_sorts_is_as_it_was(tmp_path: Path) -> None:
    """Sockets, uploads, pages broken off and silent clients leave nothing behind, and all is judged."""
    with built(tmp_path, workers=1) as lab:
        soak = Soak(lab)
        soak.run(REQUESTS, ROUNDS)
        assert soak.findings() == []
        assert all(soak.done[kind] for kind in ("sockets", "uploads", "broken off", "silent", "blocked"))
        assert soak.grown() < GROWN, soak.samples
