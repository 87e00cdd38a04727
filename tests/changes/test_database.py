from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.changes import database
from appliance.changes.database import ChangeError, ChangesDatabase

_OLD = """CREATE TABLE proposal (number INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL, base TEXT NOT NULL, version TEXT NOT NULL, entries TEXT NOT NULL,
    reason TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, impact TEXT NOT NULL,
    decided_by TEXT NOT NULL, decided_at REAL, words TEXT NOT NULL) STRICT"""


def test_what_an_older_release_kept_is_read(tmp_path: Path) -> None:
    """An update of the program loses no proposal, and the first look brings the file up."""
    made = ChangesDatabase(tmp_path)
    made.path.parent.mkdir()
    with closing(sqlite3.connect(made.path)) as db:
        db.execute(_OLD)
        db.execute(
            "INSERT INTO proposal VALUES (7, 'released', 'a', 'b', '[]', 'w', 't', 1, '{}', 'h', 2, '')"
        )
        db.commit()
    with made.reading() as db:
        assert db is not None
        assert db.execute("SELECT number, parts, stage FROM proposal").fetchall() == [(7, "{}", "{}")]


def test_whoever_only_looks_needs_nothing_that_is_new_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update, on a full disk or while somebody writes, the list of changes can still be read."""
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    made = ChangesDatabase(tmp_path)
    with made.writing() as db:
        db.execute("DROP TABLE carried")
    with closing(sqlite3.connect(made.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with made.reading() as db:
            assert db is not None
            assert db.execute("SELECT count(*) FROM notice").fetchone() == (0,)
    with made.reading() as db:
        assert db is not None
        assert db.execute("SELECT record FROM carried").fetchone() == (-1,)


def test_a_locked_database_is_told_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who holds the file for too long is waited for, then told of; reading goes on meanwhile."""
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    made = ChangesDatabase(tmp_path)
    with made.reading() as db:
        assert db is None
    with made.writing() as db:
        db.execute("INSERT INTO notice (at, kind, words, by) VALUES (1, 'a', 'b', 'c')")
        with pytest.raises(ChangeError, match=r"locked.*nothing was changed"), made.writing():
            pass
    with made.writing(), made.reading() as db:
        assert db is not None
        assert db.execute("SELECT count(*) FROM notice").fetchone() == (1,)
    with pytest.raises(ZeroDivisionError):
        _fail_amid(made)
    with made.reading() as db:
        assert db is not None
        assert db.execute("SELECT count(*) FROM notice").fetchone() == (1,)


def test_a_full_disk_lets_people_look(tmp_path: Path) -> None:
    """Where nothing can be written, what is kept can still be read, and a write says why it is not done."""
    made = ChangesDatabase(tmp_path)
    with made.writing():
        pass
    with pytest.raises(ChangeError, match="full"):
        _fill(made)
    with made.reading() as db:
        assert db is not None
        assert db.execute("SELECT count(*) FROM notice").fetchone() == (0,)


def _fail_amid(made: ChangesDatabase) -> None:
    with made.writing() as db:
        db.execute("DELETE FROM notice")
        raise ZeroDivisionError


def _fill(made: ChangesDatabase) -> None:
    with made.writing() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        db.execute("INSERT INTO notice (at, kind, words, by) VALUES (1, 'a', ?, 'c')", ("x" * 100_000,))
