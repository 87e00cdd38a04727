from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from appliance.overrides.database import _TABLES, Database
from appliance.overrides.names import OverrideError
from appliance.overrides.store import Overrides
from appliance.overrides.written import what_text, whom_text
from tests.overrides.making import MemoryTrail, make, wish


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """Who asked for what, and for whom, is nobody else's business on the machine."""
    made = make(tmp_path)
    made.granted()
    made.database.prepare()
    assert len(made.store.in_force()) == 1
    assert stat.S_IMODE(made.database.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.database.path.parent.stat().st_mode) == 0o700


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """An older release must not write what it does not understand."""
    made = make(tmp_path)
    with made.database.writing() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(OverrideError, match="newer release"):
        made.database.prepare()


def test_what_cannot_be_opened_is_told_in_words(tmp_path: Path) -> None:
    """A missing or broken file is a sentence, and never a traceback."""
    with pytest.raises(OverrideError, match="has the gateway been started"), Database(tmp_path).reading():
        pass
    made = make(tmp_path)
    made.database.path.write_bytes(b"no database" * 100)
    with pytest.raises(OverrideError, match="cannot be used"):
        made.store.in_force()


def test_nothing_is_written_where_the_block_raises(tmp_path: Path) -> None:
    """A step that fails half-way has not happened."""
    made = make(tmp_path)

    def fail() -> None:
        with made.database.writing(changes=True) as db:
            db.execute("INSERT INTO step VALUES (1, 0, 'granted', 'x', '')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with made.database.reading() as db:
        assert db.execute("SELECT count(*) FROM step").fetchone() == (0,)


def test_a_verb_that_only_asks_leaves_nothing_behind(tmp_path: Path) -> None:
    """A look with sudo must not leave files that the gateway cannot write."""
    made = make(tmp_path)
    before = sorted(path.name for path in made.database.path.parent.iterdir())
    with Database(tmp_path, asks=True).reading() as db:
        db.execute("SELECT 1 FROM override").fetchall()
    assert sorted(path.name for path in made.database.path.parent.iterdir()) == before


def test_watching_never_writes(tmp_path: Path) -> None:
    """A worker that looks ten times a second must not be able to change what it looks at."""
    made = make(tmp_path)
    with closing(made.database.watching()) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("DELETE FROM override")


def test_a_start_beside_somebody_who_holds_the_file_goes_on(tmp_path: Path) -> None:
    """A gateway that starts while somebody looks into the file with a tool does not give up."""
    Database(tmp_path).prepare()
    with closing(sqlite3.connect(Database(tmp_path).path, isolation_level=None)) as tool:
        tool.execute("BEGIN EXCLUSIVE")
        Database(tmp_path).prepare()


def test_what_an_older_release_granted_brings_nothing_along(tmp_path: Path) -> None:
    """Whoever granted it was not told that its pages bring what they need; all else stays as it was."""
    database = Database(tmp_path)
    database.path.parent.mkdir()
    what, whom = what_text(wish().what), whom_text(wish().whom)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as db:
        for statement in (*_TABLES.split(";\n"), "PRAGMA user_version = 1"):
            db.execute(statement)
        row = (1, "active", what, whom, "Because.", "Art", 0, 9e9, 1, "a", 0, "b", "teacher", None, "")
        db.execute(f"INSERT INTO override VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - placeholders
    database.prepare()
    database.prepare()
    (one,) = Overrides(database, MemoryTrail()).in_force()
    assert one.wish.what.hosts == {"bets.example"}
    assert not one.wish.learns
