"""The file that alerts are kept in."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from appliance.alerts.book import VERSION, AlertsError, Book, get, put


def test_nobody_else_may_read_the_book(tmp_path: Path) -> None:
    """It says who was seen where: that is for the gateway's own user alone."""
    made = Book(tmp_path)
    made.prepare()
    made.prepare()
    assert made.path.stat().st_mode & 0o077 == 0
    assert made.path.parent.stat().st_mode & 0o077 == 0


def test_what_raises_has_written_nothing(tmp_path: Path) -> None:
    """All of a step or none of it, or a case would be kept of which nobody is told."""
    made = Book(tmp_path)
    made.prepare()
    with suppress(ZeroDivisionError), made.writing() as db:
        put(db, "place", "5")
        raise ZeroDivisionError
    with made.reading() as db:
        assert get(db, "place") == ""


def test_a_book_that_is_not_there_or_newer_is_told_in_words(tmp_path: Path) -> None:
    """A technician reads what to do, and no traceback."""
    with pytest.raises(AlertsError, match="has the gateway been started"), Book(tmp_path).reading():
        pass
    made = Book(tmp_path)
    made.prepare()
    with made.writing() as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(AlertsError, match="newer release"):
        made.prepare()


def test_a_book_that_somebody_holds_can_be_begun_with(tmp_path: Path) -> None:
    """A keeper that starts while somebody looks into the file with a tool does not give up."""
    book = Book(tmp_path)
    book.prepare()
    with closing(sqlite3.connect(book.path, isolation_level=None)) as tool:
        tool.execute("BEGIN EXCLUSIVE")
        book.prepare()


def test_what_root_makes_is_the_gateways_own(tmp_path: Path) -> None:
    """A technician's first `sudo appliance alerts` leaves no book that the keeper cannot write."""
    owner = 65_534 if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path, owner, -1)
    book = Book(tmp_path)
    book.prepare()
    assert (book.path.stat().st_uid, book.path.parent.stat().st_uid) == (owner, owner)
