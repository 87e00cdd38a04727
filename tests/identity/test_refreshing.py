from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.names import IdentityError
from appliance.identity.refreshing import KEY, Tokens
from appliance.model.secret import Secret
from tests.doubles.people import school

TOKEN = Secret("0.AXoA-refresh")


def test_a_token_is_kept_unreadable_and_for_its_account(tmp_path: Path) -> None:
    """A copy of the database asks nobody, and no entry can be moved to another account."""
    made = school(tmp_path)
    tokens = Tokens(made.database, tmp_path)
    assert tokens.find("amy") is None
    tokens.keep("amy", TOKEN)
    assert Tokens(made.database, tmp_path).find("amy") == TOKEN
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    for file in made.database.path.parent.iterdir():
        assert TOKEN.reveal().encode() not in file.read_bytes()
    with made.database.writing() as db:
        db.execute("UPDATE refresh SET key = 'eve'")
    assert tokens.find("eve") is None
    tokens.forget("eve")
    assert tokens.find("eve") is None


def test_a_key_that_is_gone_or_broken_is_as_if_nothing_had_been_kept(tmp_path: Path) -> None:
    """Damaged state: people go on until their time; the next sign-in makes a new key and a new entry."""
    made = school(tmp_path)
    tokens = Tokens(made.database, tmp_path)
    tokens.keep("amy", TOKEN)
    (tmp_path / KEY).unlink()
    assert tokens.find("amy") is None
    tokens.keep("amy", TOKEN)
    assert tokens.find("amy") == TOKEN
    (tmp_path / KEY).write_bytes(b"short")
    with pytest.raises(IdentityError, match="remove it"):
        tokens.find("amy")


def test_two_processes_make_one_key(tmp_path: Path) -> None:
    """A key is never put in place of one that is in use."""
    made = school(tmp_path)
    one, other = Tokens(made.database, tmp_path), Tokens(made.database, tmp_path)
    one.keep("amy", TOKEN)
    before = (tmp_path / KEY).read_bytes()
    other._seal._make()
    assert (tmp_path / KEY).read_bytes() == before
    assert [path.name for path in (tmp_path / KEY).parent.iterdir()] == [KEY.name]
