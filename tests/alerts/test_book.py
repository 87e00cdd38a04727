"""The file that alerts are kept in."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from appliance.alerts.book import _FIRST, VERSION, AlertsError, Book, get, put
from appliance.alerts.cases import find
from appliance.alerts.incidents import may_see


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


def test_a_book_of_an_older_release_is_brought_up_to_date_with_all_that_it_holds(tmp_path: Path) -> None:
    """An update of the program loses no case, and makes none invisible."""
    made = Book(tmp_path)
    made.path.parent.mkdir()
    with closing(sqlite3.connect(made.path, isolation_level=None)) as db:
        for statement in _FIRST:
            db.execute(statement)
        db.execute(
            """INSERT INTO episode (subject, theme, title, "group", severity, level, count, first, last,
                state, by, outcome)
                VALUES ('name Ada', 'self_harm', 'Self-harm', 'ks2', 3, 3, 1, 0, 0, 'open', '', '')"""
        )
        db.execute("PRAGMA user_version = 1")
    made.prepare()
    made.prepare()
    with made.reading() as db:
        found = find(db, "1")
        assert (found.subject, found.state, found.holder) == ("name Ada", "open", "")
        assert may_see(db, found, frozenset({"dsl"}), "m.lead")
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_what_a_full_disk_keeps_from_being_written_is_told_and_nothing_of_it_stays(tmp_path: Path) -> None:
    """A state folder without room: the case stays as it was, and work goes on."""
    made = Book(tmp_path)
    made.prepare()

    def fill() -> None:
        with made.writing() as db:
            # SQLite answers as it does on a disk without room (SQLITE_FULL).
            db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
            put(db, "kept", "x" * 1_000_000)

    with pytest.raises(AlertsError, match="full"):
        fill()
    with made.writing() as db:
        put(db, "after", "1")
        assert (get(db, "kept"), get(db, "after")) == ("", "1")


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
