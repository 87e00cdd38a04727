from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance import auditing
from appliance.auditing import forget, note_approval, seal
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.settings import load_settings
from tests.doubles.events import START, access
from tests.doubles.school import configuration

pytestmark = pytest.mark.slow  # each reads a whole configuration


def test_how_the_policy_is_changed_stands_in_the_audit_once(tmp_path: Path) -> None:
    """S-26: that one person may do it alone is a choice, and so is each change of it."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    two = settings.model_copy(update={"changes": settings.changes.model_copy(update={"approval": "two"})})
    for each in (settings, settings, two, settings):
        note_approval(each)
    assert [entry["whom"] for entry in Trail(settings.state).entries()] == ["single", "two", "single"]


async def test_a_checkpoint_is_written_at_the_start(tmp_path: Path) -> None:
    """What was done before is covered by a signature without anybody's doing."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    note_approval(settings)
    points = settings.state / "audit" / "checkpoints"
    task = asyncio.create_task(seal(settings))
    try:
        async with asyncio.timeout(30):
            while not any(points.glob("*.txt")):  # noqa: ASYNC110 - a file tells nobody when it is there
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_was_forgotten_stands_in_the_audit_class_by_class(tmp_path: Path) -> None:
    """DP-2: a deletion can be proved: which class, how many rows, up to when, and their digest."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    writer = Writer(settings.state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(1)), from_access(access(2))])
    await writer.close()
    gone = await forget(settings, START + timedelta(days=92))
    noted = [entry for entry in Trail(settings.state).entries() if entry["what"] == "retention"]
    assert [entry["whom"] for entry in noted] == [one.what for one in gone]
    first = noted[0]
    assert (first["whom"], first["rows"]) == ("ordinary access: host, url, search_term", 2)
    assert first["until"].startswith("2026-11-25")
    assert len(first["digest"]) == 64
    assert await forget(settings, START + timedelta(days=92)) == []


@pytest.mark.parametrize("error", [OSError("disk"), EventsError("damaged")])
async def test_records_that_cannot_be_retired_cost_one_round(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A locked log does not end the removal of what is past its days (DP-2)."""
    tried: list[object] = []
    enough = asyncio.Event()

    async def fail(state: object, _retention: object, _now: object) -> None:
        tried.append(state)
        if len(tried) == 3:
            enough.set()
        raise error

    monkeypatch.setattr(auditing, "_RETIRE_SECONDS", 0.002)
    monkeypatch.setattr(auditing, "retire", fail)
    settings: Any = SimpleNamespace(state="state", retention=None)
    task = asyncio.create_task(auditing.keep_terms(settings))
    await asyncio.wait_for(enough.wait(), 10)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert "could not be removed this time" in caplog.text
