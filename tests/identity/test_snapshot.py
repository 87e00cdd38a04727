from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.snapshot import Watch, known_person, person_of, read
from appliance.model.person import Confidence, Kind, Standing
from tests.doubles.people import NOW, TABLET, school


def test_a_change_is_seen_once_and_use_is_none(tmp_path: Path) -> None:
    """Workers read again when somebody signed in or was stopped, and not for every click of a pupil."""
    made = school(tmp_path)
    watch = Watch(made.database)
    assert watch.changed()
    assert not watch.changed()
    amy = made.add("amy")
    assert watch.changed()  # proxy credentials of a new account count at once
    made.sessions.begin(amy, TABLET, NOW, NOW + 99)
    assert watch.changed()
    made.accounts.own_password(amy, "another", NOW)
    assert watch.changed()  # and those with the old password no longer
    made.sessions.used([TABLET.address], NOW)
    assert not watch.changed()
    watch.again()
    assert watch.changed()
    watch.close()


def test_an_unreadable_database_is_never_an_empty_one(tmp_path: Path) -> None:
    """Fail closed: who was frozen must not be forgotten because a file is broken."""
    with pytest.raises(sqlite3.Error):
        Watch(Database(tmp_path)).changed()
    made = school(tmp_path)
    with made.database.writing() as db:
        db.execute("INSERT INTO stop VALUES (1, 'a', 'a', 'rubbish', '', '', 0, NULL, NULL)")
    with pytest.raises(IdentityError):
        read(made.database, NOW)


@pytest.mark.slow
def test_a_freeze_outweighs_a_removal(tmp_path: Path) -> None:
    """S-60: the end of a fixed period does not end a freeze."""
    made = school(tmp_path)
    made.add("amy")
    made.stops.freeze("amy", "x", by="head", now=NOW)
    made.stops.remove("amy", "y", NOW + 60, by="head", now=NOW)
    assert read(made.database, NOW).stops["amy"].what is Standing.FROZEN


@pytest.mark.parametrize(
    ("kind", "confidence", "source"),
    [
        (Kind.CLASS, Confidence.GROUP, "class login, portal"),
        (Kind.GENERIC, Confidence.GROUP, "generic login, portal"),
        (Kind.INDIVIDUAL, Confidence.CERTAIN, "own sign-in, portal"),
        (Kind.STAFF, Confidence.CERTAIN, "staff sign-in, portal"),
    ],
)
def test_a_shared_login_is_logged_as_exactly_that(
    kind: Kind, confidence: Confidence, source: str, tmp_path: Path
) -> None:
    """S-06: the record says "class login", and never names a child that it can only guess."""
    person = person_of(school(tmp_path).add("Class 1B", kind), "portal", None, "Tablet 14, room 3")
    assert (person.confidence, person.source, person.name) == (confidence, source, "Class 1B")
    assert person.device == "Tablet 14, room 3"


@pytest.mark.slow
def test_explain_knows_a_person_as_they_stand(tmp_path: Path) -> None:
    """`explain --person` answers for the real account, stopped or not."""
    assert known_person(Database(tmp_path), "amy", NOW) is None
    made = school(tmp_path)
    made.add("amy", group="ks2")
    made.stops.freeze("amy", "x", by="head", now=NOW)
    found = known_person(made.database, "AMY", NOW)
    assert found is not None
    assert (found.group, found.standing) == ("ks2", Standing.FROZEN)
    assert known_person(made.database, "bob", NOW) is None


@pytest.mark.slow
def test_accounts_are_read_again_only_when_one_has_changed(tmp_path: Path) -> None:
    """Lesson start: a session that begins does not make each worker read a thousand accounts."""
    made = school(tmp_path)
    first = read(made.database, NOW)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    second = read(made.database, NOW, before=first)
    assert set(second.accounts) == {"amy"}
    made.sessions.end_on(TABLET)
    made.stops.freeze("amy", "x", by="head", now=NOW)
    third = read(made.database, NOW, before=second)
    assert third.accounts is second.accounts
    assert (third.sessions, set(third.stops)) == ((), {"amy"})
    made.accounts.change("amy", disabled=True)
    assert read(made.database, NOW, before=third).accounts["amy"].disabled
