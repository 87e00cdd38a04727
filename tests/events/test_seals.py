from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.events.audit import Trail
from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.seals import Sealer, check_seals, leaf
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from tests.doubles.events import BLOCKED, access
from tests.doubles.people import NOW

MINUTE = 60

pytestmark = pytest.mark.slow  # each makes a database or reads a whole configuration


async def write(state: Path, *numbers: int) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(number, decision=BLOCKED)) for number in numbers])
    await writer.write([from_access(access(99))])  # an ordinary one
    await writer.close()


def change(state: Path, statement: str) -> None:
    with closing(sqlite3.connect(state / DATABASE)) as db:
        db.execute(statement)
        db.commit()


def differences(state: Path) -> list[str]:
    return check_seals(state, Trail(state).entries(), NOW - 9 * 86_400)[1]


@pytest.fixture
async def sealed(tmp_path: Path) -> Path:
    prepare(tmp_path / DATABASE)
    sealer = Sealer(tmp_path)
    await write(tmp_path, 1, 2, 3)
    assert sealer.seal(NOW) == 3
    assert sealer.seal(NOW) == 0
    await write(tmp_path, 4)
    assert Sealer(tmp_path).seal(NOW + MINUTE) == 1  # a gateway that was started again goes on
    return tmp_path


async def test_flagged_events_are_sealed_once(sealed: Path) -> None:
    """What was flagged stands in the audit's chain, and compares as it was sealed."""
    seals = [entry for entry in Trail(sealed).entries() if entry["what"] == "seal"]
    assert [entry["count"] for entry in seals] == [3, 1]
    assert check_seals(sealed, Trail(sealed).entries(), NOW - 9 * 86_400) == (2, [])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE access SET host = 'other' WHERE id = 2", "changed"),
        ("UPDATE access SET time = 0 WHERE id = 2", "changed"),
        ("UPDATE who SET name = 'somebody else'", "changed"),
        ("UPDATE verdict SET because = 'x' WHERE flagged = 1", "changed"),
        ("DELETE FROM access WHERE id = 2", "1 of them removed"),
        ("DELETE FROM access", "3 of them removed"),
        ("UPDATE access SET flagged = 0 WHERE id = 3", "1 of them removed"),
        ("UPDATE access SET flagged = 1", "put in"),
    ],
)
async def test_a_log_that_was_changed_is_found(sealed: Path, statement: str, said: str) -> None:
    """Whoever has the database open can change it, but not unseen."""
    change(sealed, statement)
    assert any(said in text for text in differences(sealed))


async def test_what_retention_may_have_removed_is_not_compared(sealed: Path) -> None:
    """A record that has served its time is no forgery when it is gone."""
    change(sealed, "DELETE FROM access")
    assert check_seals(sealed, Trail(sealed).entries(), NOW + 1) == (0, [])


def test_an_empty_state_is_nothing_to_seal(tmp_path: Path) -> None:
    """Before the first request there is no log."""
    assert Sealer(tmp_path).seal(NOW) == 0


def test_a_leaf_is_the_same_bytes_each_time() -> None:
    """A seal of today can be compared in a year, by another program."""
    assert leaf(from_access(access(1, decision=BLOCKED))).startswith(b'{"action":"block","because":')
