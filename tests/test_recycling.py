from __future__ import annotations

import asyncio
import os
import time

import pytest

from appliance import recycling
from appliance.gateway.options import Recycle
from appliance.recycling import AGE, MEMORY, due, megabytes
from appliance.supervisor import Serving

LIMITS = Recycle(hours=2, megabytes=300)
HOUR = 3600.0


@pytest.mark.parametrize(
    ("place", "age", "used", "why"),
    [
        (0, 2 * HOUR - 1, 299, ""),
        (0, 2 * HOUR + 1, 100, AGE),
        (1, 2 * HOUR + 1, 100, ""),  # a minute after the other
        (1, 2 * HOUR + 61, 100, AGE),
        (0, HOUR, 301, MEMORY),
        (0, 599, 10_000, ""),  # it was replaced a moment ago: that has not helped
    ],
)
def test_a_worker_is_replaced_for_its_age_and_its_memory(
    place: int, age: float, used: float, why: str
) -> None:
    """What runs for months does not depend on the last byte being given back (H7, H20, H36)."""
    assert due(Serving(place, 1, 1000.0), LIMITS, 1000.0 + age, used) == why


def test_nought_means_never() -> None:
    """A school that wants no renewal gets none."""
    assert due(Serving(0, 1, 0.0), Recycle(hours=0, megabytes=0), 1e9, 1e6) == ""


@pytest.mark.slow
def test_memory_is_a_process_s_own() -> None:
    """What all workers share is not counted against each of them; one that has gone uses none."""
    assert 1 < megabytes(os.getpid()) < 5000
    assert megabytes(2**22 + 1) == 0.0


class Workers:
    """Two workers that are both due."""

    def __init__(self) -> None:
        now = time.monotonic()
        self.serving = [Serving(0, os.getpid(), now - 90_000), Serving(1, os.getpid(), now - 99_000)]
        self.renewed: list[tuple[int, str]] = []

    def renew(self, place: int, why: str) -> None:
        self.renewed.append((place, why))
        self.serving = [each for each in self.serving if each.place != place]


async def test_the_oldest_is_replaced_first_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small machine never holds more than one worker too many."""
    monkeypatch.setattr(recycling, "LOOK_SECONDS", 0.001)
    workers = Workers()
    watching = asyncio.create_task(recycling.watch(workers, Recycle()))
    async with asyncio.timeout(2):
        while not workers.renewed:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0)
        assert workers.renewed == [(1, AGE)]
        while len(workers.renewed) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    watching.cancel()
    assert workers.renewed == [(1, AGE), (0, AGE)]
