from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import assembly
from appliance.cli.explain_past import _show
from appliance.cli.main import run_cli
from appliance.cli.setup import Setup
from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.decision import Decision
from appliance.model.person import Person
from appliance.model.request import Request
from appliance.model.url import parse_typed
from tests.doubles.events import access
from tests.doubles.school import edit

type Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.slow  # each reads a whole policy and writes a log

PUPIL = Person("ks2", "network Classrooms")
AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def decided(where: Setup, address: str) -> Decision:
    settings = where.settings
    policy = assembly.snapshots(settings).publish()
    journey = assembly.filtering(settings, policy, assembly.open_lists(settings))
    return journey.judge(Request(parse_typed(address)), PUPIL, AT).decision


async def _log(state: Path, *decisions: tuple[str, Decision]) -> None:
    prepare(state / DATABASE)
    writer = Writer(state / DATABASE, durable=False, patience=1)
    asked = [
        replace(
            access(1, decision, at=AT), person=PUPIL, host=host, url=f"https://{host}/", reference=f"REF{n}"
        )
        for n, (host, decision) in enumerate(decisions)
    ]
    await writer.write([from_access(each) for each in asked])
    await writer.close()


def run(where: Setup, reference: str, *more: str) -> int:
    return run_cli(["explain", "--decision", reference, *more, "--config", str(where.config)])


HOSTS = ("gambling.example", "nobody-lists-this.example", "www.childline.org.uk", "closed.example")


def test_a_past_decision_is_made_again_after_the_policy_has_changed(compiled: Setup, capsys: Output) -> None:
    """S-76: what was decided can be shown to follow from the policy of that day, whatever holds now."""
    block = ("lists", "add", "block", "closed.example", "--because", "A lesson was disturbed.")
    assert run_cli([*block, "--config", str(compiled.config)]) == 0
    asyncio.run(_log(compiled.state, *((host, decided(compiled, host)) for host in HOSTS)))
    everybody = compiled.config.parent / "profiles" / "westways" / "_everyone.yaml"
    edit(
        everybody,
        "On-line gambling is unacceptable in school for everybody.",
        "Gambling is still not for school.",
    )
    assembly.snapshots(compiled.settings).publish()
    capsys.readouterr()
    for number in range(len(HOSTS)):
        assert run(compiled, f"ref{number}") == 0, capsys.readouterr()
    told = capsys.readouterr().out
    assert told.count("it comes out the same") == len(HOSTS)
    assert "On-line gambling is unacceptable" in told
    assert run(compiled, "nothing") == 1


def test_a_record_that_was_changed_comes_out_differently(compiled: Setup, capsys: Output) -> None:
    """Evidence: a record that says "allowed" where that policy blocked does not pass for a decision."""
    whole = decided(compiled, "gambling.example")
    forged = replace(whole, because="Because I say so, and so it is.")
    gone = replace(whole, policy_version="sha256:0000000000000000")
    asyncio.run(_log(compiled.state, ("gambling.example", forged), ("gambling.example", gone)))
    capsys.readouterr()
    assert run(compiled, "REF0", "--json") == 1
    assert [*json.loads(capsys.readouterr().out)["differs"]] == ["because"]
    assert run(compiled, "REF1") == 1
    assert "cannot be made again" in capsys.readouterr().out


def test_an_address_past_its_days_is_not_taken_for_a_statutory_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After 90 days a technician reads that the address has gone, and does not suspect the worst."""
    record = from_access(access())._replace(host="", url=None)
    _show(record, "made again", {})
    assert "(the address is past its days)" in capsys.readouterr().out
    _show(record._replace(floor=1), "made again", {})
    assert "(not kept: statutory list)" in capsys.readouterr().out
