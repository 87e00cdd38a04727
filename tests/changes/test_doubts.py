"""Tests of accounts whose password somebody else has set: one person must not be two."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.changes.database import _TABLES, ChangesDatabase
from appliance.changes.doubts import LASTS, Doubts
from appliance.changes.notices import PASSWORD, Notices
from appliance.changes.store import Approval, ChangeError
from tests.changes.test_store import Trail

APPROVAL = Approval(two=True, approvers=("Head", "dsl", "tech"))


def made(tmp_path: Path) -> tuple[Doubts, Notices, Trail]:
    trail = Trail()
    return Doubts(tmp_path, trail, APPROVAL), Notices(tmp_path, trail, APPROVAL), trail


def test_an_account_counts_again_when_another_approver_says_so(tmp_path: Path) -> None:
    """T:207: neither who set the password, nor who has it now, nor just anybody; in whatever spelling."""
    doubts, notices, trail = made(tmp_path)
    assert doubts.all(1.0) == []
    doubts.begin(["head"], by="Tech", proved=True, at=1.0)
    found = doubts.of("HEAD", 2.0)
    assert found is not None
    assert (found.by, found.until) == ("Tech", 1.0 + LASTS)
    assert [(one.kind, one.by) for one in notices.open()] == [(PASSWORD, "Tech")]
    for by, said in (
        ("tech", "somebody else"),
        ("HEAD", "somebody else"),
        ("amy", "none of changes.approvers"),
    ):
        with pytest.raises(ChangeError, match=said):
            doubts.confirm("head", by=by, at=2.0)
    doubts.confirm("Head", by="DSL", at=2.0)
    assert doubts.of("head", 2.0) is None
    assert notices.open() == []
    assert trail.told == [("account-does-not-count", "head", "Tech"), ("account-counts-again", "head", "DSL")]
    with pytest.raises(ChangeError, match="waits for no confirmation"):
        doubts.confirm("head", by="dsl", at=3.0)


def test_a_school_with_two_people_waits_a_week(tmp_path: Path) -> None:
    """Nobody is locked out for ever, and a second reset begins the week anew."""
    doubts, _, _ = made(tmp_path)
    doubts.begin(["head", "new.teacher"], by="tech", proved=True, at=1.0)
    assert [one.name for one in doubts.all(LASTS)] == ["head", "new.teacher"]
    doubts.begin(["Head"], by="tech", proved=True, at=100.0)
    assert [one.name for one in doubts.all(1.0 + LASTS)] == ["Head"]
    assert doubts.of("head", 100.0 + LASTS) is None
    with pytest.raises(ChangeError, match="waits for no confirmation"):
        doubts.confirm("head", by="dsl", at=100.0 + LASTS)


def test_who_does_not_say_who_they_are_cannot_confirm_their_own_doing(tmp_path: Path) -> None:
    """The name of the system's user is no account: it could be the approver who confirms."""
    doubts, notices, _ = made(tmp_path)
    doubts.begin(["head"], by="root", proved=False, at=1.0)
    with pytest.raises(ChangeError, match="gave no password of their own"):
        doubts.confirm("head", by="dsl", at=2.0)
    notices.seen(1, by="dsl", at=3.0)  # that somebody has looked is no confirmation
    assert doubts.of("head", 4.0) is not None
    # An account that is called as the system's user is somebody else than whoever typed.
    doubts.begin(["dsl"], by="dsl", proved=False, at=1.0)
    assert doubts.of("dsl", 2.0) is not None


def test_ones_own_password_is_ones_own(tmp_path: Path) -> None:
    """Whoever proved their own account needs nobody's word for it."""
    doubts, notices, trail = made(tmp_path)
    doubts.begin(["Head"], by="head", proved=True, at=1.0)
    assert (doubts.all(2.0), notices.open(), trail.told) == ([], [], [])


def test_where_the_audit_fails_nothing_is_noted(tmp_path: Path) -> None:
    """The caller sets no password then: what is not in the trail does not happen."""
    doubts, notices, trail = made(tmp_path)
    trail.full = True
    with pytest.raises(OSError, match="No space"):
        doubts.begin(["head"], by="tech", proved=True, at=1.0)
    assert (doubts.all(2.0), notices.open()) == ([], [])


def test_a_database_of_an_older_release_is_brought_up(tmp_path: Path) -> None:
    """What a school has proposed so far stays, and nobody is in doubt."""
    path = ChangesDatabase(tmp_path).path
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in _TABLES[:-1]:
            db.execute(statement)
        for name in ("parts", "stage"):
            db.execute(f"ALTER TABLE proposal ADD COLUMN {name} TEXT NOT NULL DEFAULT '{{}}'")
    doubts, _, _ = made(tmp_path)
    assert doubts.all(1.0) == []
    doubts.begin(["head"], by="tech", proved=True, at=1.0)
    assert len(doubts.all(2.0)) == 1
