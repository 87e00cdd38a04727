"""Tests of `explain --decision` for what staff had opened: made again exactly, or said why not."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import assembly, granting
from appliance.cli.main import run_cli
from appliance.cli.setup import Setup
from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.category import Severity
from appliance.model.decision import Decision, Reason
from appliance.model.grant import What
from appliance.model.need import Need
from appliance.model.person import Person
from appliance.model.request import Load, Request
from appliance.model.url import parse_typed
from appliance.overrides.database import Database
from appliance.policy.overrides import Grants
from tests.doubles.events import access
from tests.doubles.school import edit
from tests.overrides.making import wish

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow  # each reads a whole policy and writes a log

PUPIL = Person("ks2", "network Classrooms")
LOAD = Load("style", "no-cors", "cross-site", "gambling.example", document=False, sends=False)


def lesson(where: Setup) -> None:
    """Close two hosts by the school's own word, and open a lesson's sites by a role that may."""
    roles = where.config.parent / "profiles" / "westways" / "roles.yaml"
    text = roles.read_text(encoding="utf-8").replace("categories: [", "categories: [gambling, ", 1)
    text = text.replace("    unlisted: true", "    unlisted: true\n    own_blocks: true", 1)
    roles.write_text(text, encoding="utf-8")
    for host in ("cdn.example", "own.example"):
        block = ["lists", "add", "block", host, "--because", "A lesson (once) was disturbed: it was."]
        assert run_cli([*block, "--config", str(where.config)]) == 0
    granting.prepare(where.state)
    now = time.time()
    hosts = What(frozenset({"gambling.example", "own.example"}))
    asked = replace(wish(now - 60, now + 3600), what=hosts, reason="We ask: Otherwise: what would (be) so?")
    granting.store(where.state).request_and_grant(asked, "teacher", by="mrs.jones", now=now - 60)
    learnt = granting.learnt(where.state)
    learnt.learn(1, [Need("cdn.example", "gambling.example", Severity.MEDIUM, now)])
    learnt.close()


def decided(where: Setup, address: str, load: Load | None = None) -> Decision:
    """Judge as a worker does."""
    settings = where.settings
    policy = assembly.snapshots(settings).publish()
    learnt = granting.learnt(where.state)
    journey = assembly.filtering(settings, policy, assembly.open_lists(settings), learnt=learnt)
    journey.grant(Grants(granting.in_force(where.state, policy.sets[settings.school.set])))
    made = journey.judge(Request(parse_typed(address), load=load), PUPIL, datetime.now(UTC)).decision
    learnt.close()
    return made


async def _log(state: Path, *decisions: tuple[str, Decision]) -> None:
    prepare(state / DATABASE)
    writer = Writer(state / DATABASE, durable=False, patience=1)
    for number, (host, decision) in enumerate(decisions):
        one = replace(access(0, decision, at=datetime.now(UTC)), person=PUPIL, host=host)
        one = replace(one, url=f"https://{host}/x?y#z", reference=f"REF{number}")
        await writer.write([from_access(one)])
    await writer.close()


def run(where: Setup, reference: str, *more: str) -> int:
    return run_cli(["explain", "--decision", reference, *more, "--config", str(where.config)])


def test_what_staff_had_opened_is_made_again_exactly(compiled: Setup, capsys: Output) -> None:
    """Issue 6: a page, the school's own block, and a part that was closed since, whatever has changed."""
    lesson(compiled)
    hosts = [("gambling.example", None), ("own.example", None), ("cdn.example", LOAD)]
    found = [(host, decided(compiled, f"https://{host}/x", load)) for host, load in hosts]
    assert {decision.reason for _, decision in found} == {Reason.OVERRIDE}
    assert found[2][1].page == "gambling.example"
    asyncio.run(_log(compiled.state, *found))
    store = granting.store(compiled.state)
    store.only_named(1, ["cdn.example"], by="mrs.jones", now=time.time())
    store.only_named(1, [], by="mrs.jones", now=time.time())
    store.revoke(1, by="head", now=time.time(), note="")
    roles = compiled.config.parent / "profiles" / "westways" / "roles.yaml"
    edit(roles, "categories: [gambling, ", "categories: [")
    assembly.snapshots(compiled.settings).publish()
    capsys.readouterr()
    for number in range(len(found)):
        assert run(compiled, f"ref{number}") == 0, capsys.readouterr()
    assert capsys.readouterr().out.count("it comes out the same") == len(found)


def test_a_record_that_no_override_explains_comes_out_differently(compiled: Setup, capsys: Output) -> None:
    """Evidence: nothing passes for a lesson's page because its record says so."""
    lesson(compiled)
    whole = decided(compiled, "https://gambling.example/")
    part = decided(compiled, "https://cdn.example/", LOAD)
    forged = [
        ("gambling.example", replace(whole, because=f"{whole.because} And so it is.")),
        ("bets.example", whole),
        ("tracker.example", part),
        ("gambling.example", replace(whole, rule="override 99")),
        ("gambling.example", replace(whole, severity=Severity.HIGH)),
    ]
    asyncio.run(_log(compiled.state, *forged))
    for number in range(len(forged)):
        capsys.readouterr()
        assert run(compiled, f"REF{number}", "--json") == 1
        assert json.loads(capsys.readouterr().out)["differs"]


def test_what_is_past_its_days_is_said_and_is_no_proof(compiled: Setup, capsys: Output) -> None:
    """An override that is not kept any more reproduces nothing, in words."""
    lesson(compiled)
    asyncio.run(_log(compiled.state, ("gambling.example", decided(compiled, "https://gambling.example/"))))
    with Database(compiled.state).writing() as db:
        db.execute("DELETE FROM override")
    capsys.readouterr()
    assert run(compiled, "REF0") == 1
    assert "it cannot be made again: there is no override 1" in capsys.readouterr().out
