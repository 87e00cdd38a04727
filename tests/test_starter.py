from __future__ import annotations

import asyncio
import os
import sys

import pytest

from appliance.starter import watch_starter


async def test_whoever_started_a_process_is_missed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper whose starter has been killed does not stay behind; what is said on the way ends nothing."""
    reading, writing = os.pipe()
    gone = asyncio.Event()
    with os.fdopen(reading) as told:
        monkeypatch.setattr(sys, "stdin", told)
        watch_starter(gone.set)
        os.write(writing, b"still here")
        await asyncio.sleep(0.01)
        assert not gone.is_set()
        os.close(writing)
        await asyncio.wait_for(gone.wait(), 5)


async def test_the_waiting_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends by itself is not told any more."""
    reading, writing = os.pipe()
    gone = asyncio.Event()
    with os.fdopen(reading) as told:
        monkeypatch.setattr(sys, "stdin", told)
        stop = watch_starter(gone.set)
        stop()
        os.close(writing)
        await asyncio.sleep(0.01)
        assert not gone.is_set()


@pytest.mark.parametrize("nothing", [os.devnull, None])
async def test_a_unit_of_its_own_has_nobody_to_miss(
    nothing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systemd gives a service /dev/null, which cannot be waited for: it serves all the same."""
    told = os.fdopen(os.open(nothing, os.O_RDONLY)) if nothing else None
    monkeypatch.setattr(sys, "stdin", told)
    gone = asyncio.Event()
    stop = watch_starter(gone.set)
    await asyncio.sleep(0.01)
    stop()
    assert not gone.is_set()
    if told is not None:
        told.close()
