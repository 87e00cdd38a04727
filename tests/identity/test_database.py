from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from tests.doubles.people import school


def test_a_database_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """DP: hashes and names are nobody else's to read, and a second start changes nothing."""
    made = school(tmp_path)
    made.add("amy")
    made.database.prepare()
    assert made.database.path.stat().st_mode & 0o077 == 0
    assert [account.name for account in made.accounts.all()] == ["amy"]


def test_nothing_of_a_failed_change_stays(tmp_path: Path) -> None:
    """A power cut or a fault half-way leaves people as they were."""
    made = school(tmp_path)
    with pytest.raises(IdentityError), made.database.writing(changes=True) as db:
        db.execute("DELETE FROM generation WHERE 'the first' = 'the first' AND rubbish")
    with made.database.writing() as db:
        db.execute("UPDATE generation SET number = number")
    with made.database.reading() as db:
        assert db.execute("SELECT number FROM generation").fetchone() == (1,)


def test_what_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    """A technician reads what is wrong with the file, and no traceback."""
    database = Database(tmp_path)
    with pytest.raises(IdentityError, match="has the gateway been started"), database.reading():
        pass
    database.path.parent.mkdir()
    database.path.write_bytes(b"no database" * 200)
    with pytest.raises(IdentityError, match=r"people\.db: cannot be used"), database.writing():
        pass


def test_a_newer_release_is_not_overwritten(tmp_path: Path) -> None:
    """Going back to an older release must not damage what the newer one wrote."""
    made = school(tmp_path)
    with made.database.writing() as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(IdentityError, match="newer release"):
        made.database.prepare()


def test_who_watches_cannot_write(tmp_path: Path) -> None:
    """Workers read only: a hole in one changes no account."""
    watching = school(tmp_path).database.watching()
    with pytest.raises(sqlite3.OperationalError):
        watching.execute("DELETE FROM account")
    watching.close()


def test_who_only_asks_leaves_nothing_behind(tmp_path: Path) -> None:
    """A look with sudo leaves no file, and sees what a gateway that runs has written."""
    made = school(tmp_path)
    asking = Database(tmp_path, asks=True)
    before = sorted(tmp_path.rglob("*"))
    with asking.reading() as db:
        assert db.execute("SELECT number FROM generation").fetchone() == (1,)
    assert sorted(tmp_path.rglob("*")) == before
    watching = made.database.watching()
    with made.database.writing(changes=True):
        pass
    with asking.reading() as db:
        assert db.execute("SELECT number FROM generation").fetchone() == (2,)
    watching.close()


def test_a_start_beside_somebody_who_holds_the_file_goes_on(tmp_path: Path) -> None:
    """A gateway that starts while somebody looks into the file with a tool does not give up."""
    Database(tmp_path).prepare()
    with closing(sqlite3.connect(Database(tmp_path).path, isolation_level=None)) as tool:
        tool.execute("BEGIN EXCLUSIVE")
        Database(tmp_path).prepare()
