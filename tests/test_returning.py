from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import assembly, releasing, returning
from appliance.changes.journal import Journal
from appliance.changes.store import Proposal, State
from appliance.events.audit import Trail
from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.shares import Shares
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.decision import Decision
from appliance.settings import Settings, load_settings
from tests.doubles.events import ALLOWED, BLOCKED, PUPIL, access
from tests.doubles.school import configuration, edit
from tests.doubles.two import WHY

pytestmark = pytest.mark.slow  # each publishes a policy twice

NOW = time.time()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a school in which a change of the profiles was proposed."""
    config = configuration(tmp_path, own_files=True)
    store = assembly.snapshots(load_settings(config).settings)
    store.publish()
    config.write_text(config.read_text() + "changes: {approval: two, approvers: [head]}\n")
    found = load_settings(config).settings
    edit(found.paths.profiles / "westways" / "ks2.yaml", "profile: ks2", "profile: ks2 ")
    base, version = store.current(), store.keep().version
    releasing.changes(found).propose(base, version, (), reason=WHY, by="tech", at=NOW, impact={})
    prepare(found.state / DATABASE)
    return found


def release(settings: Settings, *first: str, until: float | None = None, stays: bool = False) -> None:
    made = releasing.changes(settings)
    stage = releasing.stage_of(settings, made.get(1), first, until) if first else None
    said = (releasing.said_of(stage) if stage else {}) | ({"stays": True} if stays else {})
    store = assembly.snapshots(settings)

    def act(found: Proposal) -> None:
        if stage:
            store.set_stage(stage)
        else:
            releasing.put_in_force(settings, found)

    made.release(1, by="head", at=NOW, current=lambda: {"policy": store.current()}, act=act, stage=said)


async def log(
    settings: Settings, decision: Decision, at: float, hosts: Iterable[int], client: str = "10.20.0"
) -> None:
    when = datetime.fromtimestamp(at, UTC)
    writer = Writer(settings.state / DATABASE, durable=False, patience=1)
    found = [
        replace(
            access(n, decision, person=replace(PUPIL, name=f"pupil {n % 10}"), at=when),
            host=f"site{n}.example",
            client=f"{client}.{n % 10}",
        )
        for n in hosts
    ]
    await writer.write([from_access(each) for each in found])
    await writer.close()


async def _harm(settings: Settings, client: str = "10.20.0") -> None:
    version = releasing.changes(settings).get(1).version
    await log(settings, replace(ALLOWED, policy_version="old"), NOW - 86_400, range(300))
    await log(settings, replace(BLOCKED, policy_version=version), NOW + 1, range(100), client)


async def test_a_change_that_blocks_a_class_returns(settings: Settings) -> None:
    """S-25: the policy from before is in force again, audited, and on the list to be looked at."""
    before = assembly.snapshots(settings).current()
    release(settings)
    await _harm(settings)
    known: dict[int, Shares] = {}
    returning.look(settings, NOW + 10, known)
    found = releasing.changes(settings).get(1)
    assert (found.state, found.decided_by) == (State.RETURNED, returning.GATEWAY)
    assert "blocked (100 of 100)" in found.words
    assert assembly.snapshots(settings).current() == before
    assert [each.kind for each in releasing.notices(settings).open()] == ["returned"]
    told = [entry["what"] for entry in Trail(settings.state).entries()]
    assert told[-2:] == ["change-return", "policy-in-force"]
    returning.look(settings, NOW + 20, known)
    assert releasing.notices(settings).count() == 1


async def test_what_is_to_stay_stays(settings: Settings) -> None:
    """A change that was released to stay, and one whose hour is over, are taken back by nobody."""
    release(settings, stays=True)
    await _harm(settings)
    returning.look(settings, NOW + 10, {})
    assert releasing.changes(settings).get(1).state is State.RELEASED


async def test_only_those_who_are_meant_count(settings: Settings) -> None:
    """Of a stage for one room, what others are blocked from is no harm of it."""
    release(settings, "Classrooms")
    await _harm(settings, client="10.99.0")
    returning.look(settings, NOW + 10, {})
    assert releasing.changes(settings).get(1).state is State.STAGED


async def test_a_stage_ends_at_its_time(settings: Settings) -> None:
    """Nobody has to remember it: it returns, and somebody is to look at that."""
    release(settings, "Classrooms", until=NOW + 60)
    returning.look(settings, NOW + 59, {})
    assert releasing.changes(settings).get(1).state is State.STAGED
    returning.look(settings, NOW + 61, {})
    assert releasing.changes(settings).get(1).state is State.RETURNED
    assert assembly.snapshots(settings).staged() is None
    assert "its time was over" in releasing.notices(settings).open()[0].words


async def test_a_release_that_a_power_cut_ended_is_undone_within_seconds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-25: a command that was killed leaves nothing in force, also where one person decides."""
    one = settings.model_copy(update={"changes": settings.changes.model_copy(update={"approval": "single"})})
    changes, store = releasing.changes(one), assembly.snapshots(one)
    made = changes.get(1)

    def act(found: Proposal) -> None:
        kept = Journal(one.state).path.read_bytes()
        releasing.put_in_force(one, found)
        (one.state / "kept").write_bytes(kept)
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input"):
        changes.release(1, by="head", at=NOW, current=lambda: {"policy": made.base}, act=act)
    (one.state / "kept").rename(Journal(one.state).path)  # as if the command had been killed instead
    store.put_in_force(made.version)
    monkeypatch.setattr(returning, "_LOOK_SECONDS", 0.01)
    watching = asyncio.create_task(returning.watch(one))
    async with asyncio.timeout(10):
        while store.current() != made.base or Journal(one.state).there():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.01)
    watching.cancel()
