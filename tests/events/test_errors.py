"""Tests of telling a busy database from a broken one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.events.errors import is_busy, is_damaged


def test_a_locked_database_is_busy_and_not_damaged(tmp_path: Path) -> None:
    """Waiting is the answer to a lock, and to nothing else."""
    with (
        closing(sqlite3.connect(tmp_path / "a", isolation_level=None)) as one,
        closing(sqlite3.connect(tmp_path / "a", timeout=0, isolation_level=None)) as two,
    ):
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            two.execute("BEGIN IMMEDIATE")
    assert (is_busy(caught.value), is_damaged(caught.value)) == (True, False)


def test_a_file_of_rubbish_is_damaged_and_not_busy(tmp_path: Path) -> None:
    """Nobody waits for a file that will never be a database."""
    (tmp_path / "a").write_bytes(b"rubbish " * 200)
    with closing(sqlite3.connect(tmp_path / "a")) as db, pytest.raises(sqlite3.DatabaseError) as caught:
        db.execute("PRAGMA user_version")
    assert (is_busy(caught.value), is_damaged(caught.value)) == (False, True)


def test_an_error_without_a_code_is_neither() -> None:
    """What cannot be told apart is treated as a failure, not waited for."""
    error = sqlite3.Error("no code")
    assert (is_busy(error), is_damaged(error)) == (False, False)
