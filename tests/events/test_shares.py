from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.shares import Client, shares
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.decision import Reason
from tests.doubles.events import ALLOWED, BLOCKED, PUPIL, START, access

NEW = "sha256:00000000000000aa"


async def test_each_site_counts_once_a_person(tmp_path: Path) -> None:
    """Whoever asks a thousand times for one blocked site has been blocked from one."""
    prepare(tmp_path / DATABASE)
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    fault = replace(BLOCKED, reason=Reason.FAULT)
    ben = replace(PUPIL, name="Ben", group="ks1")
    seen = [
        *(replace(access(n, BLOCKED), host="a.example") for n in range(5)),
        replace(access(6, BLOCKED), host="b.example"),
        replace(access(7, ALLOWED), host="c.example"),
        replace(access(8, replace(BLOCKED, policy_version=NEW), person=ben), host="a.example"),
        replace(access(9, fault, person=ben), host="d.example"),
    ]
    await writer.write([from_access(each) for each in seen])
    await writer.close()
    at = START.timestamp()

    def everybody(_: Client) -> bool:
        return True

    found = shares(tmp_path, at - 1, at + 60, "", everybody)
    assert (found.asked, found.blocked, found.faults) == (5, {"Ada Example": 2, "Ben": 1}, {"Ben": 1})
    assert shares(tmp_path, at - 1, at + 60, NEW, everybody).blocked == {"Ben": 1}
    assert shares(tmp_path, at - 1, at + 60, "", lambda who: who.group == "ks1").asked == 2
    assert shares(tmp_path, at + 1, at + 60, "", everybody).asked == 0
    assert shares(tmp_path / "none", at, at, "", everybody).asked == 0
