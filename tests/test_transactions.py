"""One transaction: all of it, or none."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from appliance.transactions import transaction, version_of


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
