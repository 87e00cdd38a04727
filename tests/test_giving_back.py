from __future__ import annotations

import asyncio
import os

import pytest

from appliance import giving_back
from appliance.giving_back import give_back, trimmer
from appliance.recycling import megabytes
from tests.doubles.keeping import until


def holes() -> list[bytearray]:
    """Leave some 20 MB of holes between what stays, which is returned."""
    pieces = [bytearray(b"x") * 100_000 for _ in range(210)]
    return pieces[::10]


async def test_what_a_wave_of_connections_has_used_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that runs for months does not hold what its busiest minute needed."""
    monkeypatch.setattr(giving_back, "EVERY_SECONDS", 0.01)
    staying = holes()
    before = megabytes(os.getpid())
    giving = asyncio.create_task(give_back())
    await until(lambda: megabytes(os.getpid()) < before - 10, "the memory that is not used")
    giving.cancel()
    assert len(staying) == 21


async def test_where_the_library_cannot_nobody_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another C library the gateway runs as well."""
    assert trimmer() is not None
    monkeypatch.setattr(giving_back, "trimmer", lambda: None)
    async with asyncio.timeout(5):
        await give_back()
