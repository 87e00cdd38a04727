"""One transaction: all of it, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.transactions import CARRIED, noted, settle, transaction, unsettled, version_of


def test_what_raises_leaves_nothing_and_what_ends_is_there_with_its_last_statement(tmp_path: Path) -> None:
    """A command that fails half-way, or a full disk, leaves no half of a change."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
        assert version_of(db) == 0
        with transaction(db, "PRAGMA user_version = 3"):
            db.execute("CREATE TABLE a (one INTEGER)")
        with suppress(ZeroDivisionError), transaction(db, "INSERT INTO a VALUES (2)"):
            db.execute("INSERT INTO a VALUES (1)")
            raise ZeroDivisionError
        assert db.execute("SELECT count(*) FROM a").fetchone() == (0,)
        assert version_of(db) == 3


@dataclass
class Notes:
    """An audit that numbers its records; `untrue` are those that do not count."""

    last: int = 0
    untrue: list[int] = field(default_factory=list)
    full: bool = False

    def newest(self) -> int:
        return self.last

    def not_carried(self, after: int) -> None:
        if self.full:
            raise OSError("No space left on device")
        self.untrue += range(after + 1, self.last + 1)
        self.last += 1


@dataclass
class Disk:
    """A database whose next transactions end with these errors, as a full disk's do."""

    path: Path
    errors: list[Exception] = field(default_factory=list)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db, transaction(db):
            yield db
            if self.errors:
                raise self.errors.pop()


def made(folder: Path) -> tuple[Disk, Notes]:
    """Return a database whose steps are noted, with one step in it."""
    disk, notes = Disk(folder / "a.db"), Notes()
    with disk.writing() as db:
        for statement in CARRIED.split(";\n"):
            db.execute(statement)
    with noted(disk.writing, notes):
        notes.last += 1
    assert notes.untrue == []
    return disk, notes


def test_a_new_database_calls_no_step_in_a_lost_one_untrue(tmp_path: Path) -> None:
    """Who moves a damaged file away must not make the audit say that nothing in it ever was."""
    disk, notes = made(tmp_path)
    disk.path.unlink()
    with disk.writing() as db:
        for statement in CARRIED.split(";\n"):
            db.execute(statement)
    disk.errors = [OSError("full")]
    with pytest.raises(OSError, match="full"):
        settle(disk.writing, notes)
    disk.errors = [OSError("full")]
    with pytest.raises(OSError, match="full"), noted(disk.writing, notes):
        raise AssertionError("the first step waits until it is known where it begins")
    with noted(disk.writing, notes):
        notes.last += 1
    assert notes.untrue == []
    disk.errors = [OSError("full")]
    with pytest.raises(OSError, match="full"), noted(disk.writing, notes):
        notes.last += 1
    assert notes.untrue == [notes.last - 1]


def test_a_step_that_is_rolled_back_is_noted_at_once(tmp_path: Path) -> None:
    """What the audit names and the database could not keep: told with it, and the next step counts."""
    disk, notes = made(tmp_path)
    disk.errors = [OSError("No space left on device")]
    with pytest.raises(OSError, match="No space"), noted(disk.writing, notes):
        notes.last += 2
    assert notes.untrue == [2, 3]
    with noted(disk.writing, notes):
        notes.last += 1
    assert notes.untrue == [2, 3]
    with disk.writing() as db:
        assert not unsettled(db, notes)


def test_where_that_cannot_be_noted_either_it_is_noted_before_the_next_step(tmp_path: Path) -> None:
    """A disk that stays full, or a power cut: the first that can write says what did not happen."""
    disk, notes = made(tmp_path)
    disk.errors, notes.full = [OSError("full")], True
    with pytest.raises(OSError, match="full"), noted(disk.writing, notes):
        notes.last += 1
    with pytest.raises(OSError, match="No space"), noted(disk.writing, notes):
        raise AssertionError("no step before what was undone is told")
    notes.full = False
    settle(disk.writing, notes)
    settle(disk.writing, notes)
    assert notes.untrue == [2]


def test_what_is_refused_before_any_record_costs_no_second_transaction(tmp_path: Path) -> None:
    """A word that cannot be, or a database that is locked, is told once and at once."""
    disk, notes = made(tmp_path)
    with suppress(ZeroDivisionError), noted(disk.writing, notes):
        disk.errors = [OSError("asked again")]
        raise ZeroDivisionError
    assert disk.errors
    assert notes.untrue == []
