from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from appliance import granting
from appliance.events.audit import Trail
from appliance.events.record import from_access, from_review
from appliance.events.store import DATABASE
from appliance.events.verify_audit import NOT_CARRIED
from appliance.events.writer import Writer
from appliance.model.profile import ProfileSet
from appliance.overrides.database import Database
from tests.doubles.events import BLOCKED, START, access, review
from tests.overrides.making import NOW, wish

ROOT = Path(__file__).resolve().parents[1]
SCHOOL = ProfileSet("school", "School", "ks2", {})


def test_who_types_for_somebody_else_is_named_beside_them(tmp_path: Path) -> None:
    """A technician who grants in a teacher's name does so in the open."""
    granting.prepare(tmp_path)
    store = granting.store(tmp_path, typist="root")
    store.request(wish(), by="mrs.jones", now=NOW)
    granting.store(tmp_path).request(wish(), by="root", now=NOW)
    entries = Trail(tmp_path).entries()
    assert [(entry["by"], entry.get("typed_by")) for entry in entries] == [
        ("mrs.jones", "root"),
        ("root", None),
    ]


def test_a_verb_that_asks_sees_what_is_granted(tmp_path: Path) -> None:
    """`explain` answers with the overrides that a worker knows, and without any where there never was one."""
    assert granting.in_force(tmp_path, SCHOOL) == []
    assert not (tmp_path / "overrides").exists()
    granting.prepare(tmp_path)
    store = granting.store(tmp_path)
    override = store.request_and_grant(wish(), "teacher", by="mrs.jones", now=NOW)
    (grant,) = granting.in_force(tmp_path, SCHOOL)
    assert grant.number == override.number
    assert grant.words.startswith("Opened until 2026-11-25 11:00 by mrs.jones")


async def test_a_worker_and_the_keeper_follow_one_database(tmp_path: Path) -> None:
    """There is one truth about what is open, and each process reads it."""
    granting.prepare(tmp_path)
    told: list[int] = []
    follower = granting.follower(
        tmp_path, SCHOOL, lambda grants, _: told.extend(one.number for one in grants)
    )
    granting.store(tmp_path).request_and_grant(wish(NOW * 2, NOW * 2 + 60), "teacher", by="a", now=NOW)
    await follower.look()
    keeper = granting.keeper(tmp_path, SCHOOL, 395)
    await keeper.look()
    follower.close()
    keeper.close()
    assert told == [1]


async def test_what_is_asked_on_block_pages_comes_with_its_block(tmp_path: Path) -> None:
    """A request names the site that was blocked, which the page's reference finds in the log."""
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    block = from_access(access(1, BLOCKED, at=START))
    await writer.write([block, from_review(review(1))._replace(reference=block.reference)])
    await writer.write([from_review(review(2))._replace(reference="unknown")])
    await writer.close()
    granting.prepare(tmp_path)
    (asked,) = await granting.asked_on_pages(tmp_path, START.timestamp() - 1)
    assert (asked.host, asked.reason) == (block.host, "unacceptable")
    assert granting.intake(tmp_path, ()).take([asked], NOW) == [1]


def test_who_looks_at_a_report_for_somebody_else_is_named_beside_them(tmp_path: Path) -> None:
    """A look-up of what people visited is one record, with its purpose and whoever typed."""
    granting.prepare(tmp_path)
    granting.reports(tmp_path, typist="root").look(3, by="mrs.jones", purpose="to see", now=NOW)
    (entry,) = Trail(tmp_path).entries()
    assert (entry["what"], entry["by"], entry["typed_by"], entry["purpose"]) == (
        "override-report",
        "mrs.jones",
        "root",
        "to see",
    )


GRANT = """
import os, resource, signal, sys
from pathlib import Path
from appliance import granting
from appliance.overrides.names import OverrideError
from tests.overrides.making import NOW, wish
state, how, room = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = granting.store(state)
if how == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        store.request_and_grant(wish(), "teacher", by="mrs.jones", now=NOW)
    except OverrideError as error:
        print(error)
else:
    noted = store._noted(changes=True)
    store._add(noted.__enter__(), wish(), "mrs.jones", NOW)
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["full", "killed"])
def test_a_step_that_was_rolled_back_is_told_in_the_audit(tmp_path: Path, how: str) -> None:
    """S-52: a disk that fills up, or a power cut, between the record and its step: neither is a lie."""
    granting.prepare(tmp_path)
    first = granting.store(tmp_path).request_and_grant(wish(), "teacher", by="head", now=NOW).number
    log = Database(tmp_path).path.with_name("overrides.db-wal")
    with closing(sqlite3.connect(Database(tmp_path).path, isolation_level=None)) as held:
        held.execute("BEGIN")
        held.execute("SELECT number FROM generation").fetchone()  # keeps SQLite's log where it is
        for seconds in range(20):
            granting.store(tmp_path).keep_left({first: 100.0 - seconds})
        room = log.stat().st_size + 100  # enough for the audit, and none for the step
        done = subprocess.run(
        [sys.executable, "-c", GRANT, str(tmp_path), how, str(room)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    store = granting.store(tmp_path)
    if how == "full":
        assert "cannot be used" in done.stdout
        assert "nothing has changed" in done.stdout
        assert Trail(tmp_path).last(NOT_CARRIED) is not None  # at once
    store.settle()
    store.settle()
    assert [one.number for one in store.all(over=True)] == [first]
    entries = Trail(tmp_path).entries()
    undone = [one for one in entries if one["whom"] == "override 2" and one["what"] != NOT_CARRIED]
    told = [(one["record"], one["was"]) for one in entries if one["what"] == NOT_CARRIED]
    assert undone
    assert told == [(one["n"], one["what"]) for one in undone]
    # What follows counts again, under the number that the undone one had.
    again = store.request_and_grant(wish(), "teacher", by="mrs.jones", now=NOW).number
    assert again == 2
    assert [one for one in Trail(tmp_path).entries() if one["what"] == NOT_CARRIED] == entries[-len(told) :]
