"""Tests of opening and upgrading the log's file."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from appliance.events import schema
from appliance.events.errors import EventsError
from appliance.events.fields import FIELDS


def _set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")


def _pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_new_log_is_private_and_durable(tmp_path: Path) -> None:
    """Nobody but the gateway reads the record, and a reader never blocks a writer."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (_pragma(path, "journal_mode"), _pragma(path, "user_version")) == ("wal", schema.VERSION)
    assert _pragma(path, "auto_vacuum") == 2


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    """Every worker prepares at its start, and none may harm what is there."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO taken VALUES ('x', 1)")
    schema.prepare(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM taken").fetchone() == (1,)


@pytest.mark.slow
def test_an_older_log_is_brought_up_to_date_with_everything_in_it(tmp_path: Path) -> None:
    """An upgrade loses no record, and one person's day is then found without a look at the others."""
    path = tmp_path / "events.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in (*schema.MIGRATIONS[0], *schema.MIGRATIONS[1]):
            db.execute(statement)
        db.execute("PRAGMA user_version = 2")
        row = "INSERT INTO access VALUES (?, ?, 0, ?, 1, 'R', 'h', 'u', 'GET', '', 200, 1, 1)"
        db.executemany(row, [(number, number * 10, number % 7) for number in range(1, 500)])
        before = db.execute("SELECT * FROM access").fetchall()
    schema.prepare(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT * FROM access").fetchall() == before
        question = "SELECT id FROM access WHERE time >= 5 AND time < 900 AND who IN (3)"
        plan = str(db.execute(f"EXPLAIN QUERY PLAN {question}").fetchall())
        assert "COVERING INDEX access_time" in plan
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_preparing_does_not_drop_the_locks_of_this_process(tmp_path: Path) -> None:
    """A worker that prepares once more keeps its log: without its locks, another would delete it."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO taken VALUES ('x', 1)")
        schema.prepare(path)
        other = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1])"
        other += "; db.execute('SELECT 1 FROM taken'); db.close()"
        subprocess.run([sys.executable, "-c", other, path], check=True)
        assert (tmp_path / "events.sqlite3-wal").exists()


@pytest.mark.slow
def test_several_workers_may_start_at_once(tmp_path: Path) -> None:
    """The first start of four workers on an empty folder makes one log, and no error."""
    for attempt in range(5):
        path = tmp_path / f"{attempt}.sqlite3"
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(schema.prepare, [path] * 8))
        assert _pragma(path, "user_version") == schema.VERSION


def test_a_log_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Going back to an older release never writes into what it does not understand."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    _set_version(path, schema.VERSION + 1)
    before = path.read_bytes()
    with pytest.raises(EventsError, match="written by a newer release"):
        schema.prepare(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A damaged log is reported with its name, and never overwritten."""
    path = tmp_path / "events.sqlite3"
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 40)
    before = path.read_bytes()
    with pytest.raises(EventsError, match="damaged"):
        schema.prepare(path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_an_upgrade_happens_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that fails in the middle of an upgrade leaves the log as the old release knew it."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    broken = (*schema.MIGRATIONS, ("CREATE TABLE later (id INTEGER)", "CREATE NONSENSE"))
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    monkeypatch.setattr(schema, "VERSION", len(broken))
    with pytest.raises(sqlite3.OperationalError):
        schema.prepare(path)
    assert _pragma(path, "user_version") == len(broken) - 1
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchall()


@pytest.mark.slow
def test_an_upgrade_keeps_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release finds the old release's records, and only the missing steps are done."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO taken VALUES ('x', 1)")
    longer = (*schema.MIGRATIONS, ("ALTER TABLE taken ADD COLUMN note TEXT",))
    monkeypatch.setattr(schema, "MIGRATIONS", longer)
    monkeypatch.setattr(schema, "VERSION", len(longer))
    schema.prepare(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT * FROM taken").fetchall() == [("x", 1, None)]


def test_every_column_is_declared_as_a_field(tmp_path: Path) -> None:
    """No column exists without a purpose and a term (DP-2)."""
    path = tmp_path / "events.sqlite3"
    schema.prepare(path)
    technical = {"id", "day", "who", "verdict"}
    with closing(sqlite3.connect(path)) as db:
        found = {
            (table, row[1])
            for table in ("access", "who", "verdict", "review")
            for row in db.execute(f"PRAGMA table_info({table})")
            if row[1] not in technical and (table in {"access", "review"} or row[1] != "flagged")
        }
    assert found == {(field.table, field.column) for field in FIELDS.values()}
