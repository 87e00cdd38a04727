from __future__ import annotations

from pathlib import Path

from appliance import granting
from appliance.events.audit import Trail
from appliance.events.record import from_access, from_review
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.profile import ProfileSet
from tests.doubles.events import BLOCKED, START, access, review
from tests.overrides.making import NOW, wish

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
