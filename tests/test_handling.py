"""What is done with a case and its record in the audit are one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from sqlite3 import Connection

import pytest

from appliance.alerts.book import AlertsError
from appliance.alerts.cases import NoCaseError
from appliance.events.carried import Carried
from appliance.handling import Staff, settle
from tests.doubles.alerts import sighting
from tests.doubles.casework import LEAD, Office, office

ROOT_USER = Staff("root")
ONLINE = Staff("o.online", frozenset({"online_safety"}))


@pytest.fixture
def there(tmp_path: Path) -> Office:
    return office(tmp_path)


def test_what_cannot_be_in_the_audit_is_not_done(there: Office) -> None:
    """An audit on a full disk, or damaged: the case stays as it was, and nothing personal is returned."""
    handling, path = there.handling, there.handling.trail.path
    path.parent.mkdir(exist_ok=True)
    path.mkdir()
    for act in (
        lambda: handling.look(LEAD, "1", "why"),
        lambda: handling.acknowledge(LEAD, "1"),
        lambda: handling.close(LEAD, "1", "x"),
        lambda: handling.take(LEAD, "1", "harm"),
        lambda: handling.note(LEAD, "1", "x"),
    ):
        with pytest.raises(OSError, match="directory"):
            act()
    path.rmdir()
    look = handling.look(LEAD, "1", "why")
    assert (look.case.state, look.tasks, look.notes) == ("open", [], [])


def test_a_step_that_was_rolled_back_is_told_in_the_audit(
    there: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-40: a disk that is full at the last moment leaves a case open, and no record that it was closed."""
    handling, writing = there.handling, there.handling.book.writing

    @contextmanager
    def full() -> Iterator[Connection]:
        with writing() as db:
            yield db
            monkeypatch.undo()
            raise AlertsError("database or disk is full")

    settle(handling.state)
    monkeypatch.setattr(handling.book, "writing", full)
    with pytest.raises(AlertsError, match="full"):
        handling.close(LEAD, "1", "a mistake")
    assert handling.find(LEAD, "1").state == "open"
    handling.close(LEAD, "1", "a mistake")
    told = [(one["what"], one.get("record")) for one in handling.trail.entries()]
    assert told == [("alert-close", None), ("not-carried-out", 1), ("alert-close", None)]


def test_a_step_that_a_power_cut_left_in_the_audit_is_told_at_the_start(there: Office) -> None:
    """S-40: nobody has to take the next step in a case for governors to read that the last one was none."""
    handling = there.handling
    handling.note(LEAD, "1", "looked into")
    Carried(handling.trail, "alerts").add("alert-close", "1", by="dsl", at=1.0)
    for _twice in range(2):
        settle(handling.state)
    told = [one["what"] for one in handling.trail.entries()]
    assert told == ["alert-note", "alert-close", "not-carried-out"]


def test_a_case_of_an_older_release_can_be_acknowledged(there: Office) -> None:
    """Between an update and the gateway's next start nobody is told that there is no such table."""
    handling = there.handling
    with handling.book.writing() as db:
        db.execute("DROP TABLE carried")
        db.execute("PRAGMA user_version = 2")
    handling.acknowledge(LEAD, "1")
    assert handling.find(LEAD, "1").state == "acknowledged"


def test_a_case_that_is_not_for_them_is_no_case_whatever_they_do(there: Office) -> None:
    """Every way to a case asks the same question first."""
    handling = there.handling
    for act in (
        lambda: handling.find(ONLINE, "1"),
        lambda: handling.look(ONLINE, "1", "x"),
        lambda: handling.again(ONLINE, "1"),
        lambda: handling.acknowledge(ONLINE, "1"),
        lambda: handling.take(ONLINE, "1"),
        lambda: handling.note(ONLINE, "1", "x"),
        lambda: handling.judge(ONLINE, "1", useful=True),
        lambda: handling.hand_over(ONLINE, "1", "dsl"),
        lambda: handling.done(ONLINE, "1", 1),
        lambda: handling.not_needed(ONLINE, "1", 1, "x"),
        lambda: handling.close(ONLINE, "1", "x"),
    ):
        with pytest.raises(NoCaseError):
            act()
    assert handling.all(ONLINE) == []
    assert [case.number for case in handling.all(ROOT_USER)] == [1]


def test_what_nobody_was_told_of_is_the_safeguarding_leads_alone_to_see(there: Office) -> None:
    """Whoever has some role must not browse through everything that was ever seen."""
    there.alerting = replace(there.alerting, rules=())
    there.see(sighting(9, who="Ben"))
    assert [case.number for case in there.handling.all(LEAD, everything=True)] == [1, 2]
    for role in ("deputy", "online_safety"):
        staff = Staff("d.deputy", frozenset({role}))
        assert 2 not in [case.number for case in there.handling.all(staff, everything=True)]


def test_what_is_not_in_the_table_or_no_role_is_told_with_what_there_is(there: Office) -> None:
    """A slip of the finger is no traceback."""
    with pytest.raises(AlertsError, match="did you mean 'harm'"):
        there.handling.take(LEAD, "1", "hram")
    with pytest.raises(AlertsError, match="unknown role"):
        there.handling.hand_over(LEAD, "1", "cook")


def test_nobody_is_proposed_anything_for_telling_us(there: Office) -> None:
    """S-67: whoever says that something upset them is heard, and no row about pupils stands in their case."""
    there.see(sighting(5, who="x", subject="report REF-9", report=True))
    look = there.handling.look(LEAD, "2", "to help")
    assert (look.who.split(":")[0], look.proposed, look.others, look.named) == ("nobody", (), [], "")


async def test_a_persons_log_needs_a_purpose_and_a_name(there: Office) -> None:
    """S-52: no look without a reason, and none at a device as if it were a child."""
    with pytest.raises(AlertsError, match="say why"):
        await there.handling.log_of(LEAD, "1", " ")
    there.see(sighting(6, who="x", subject="address 10.2.0.7"))
    with pytest.raises(AlertsError, match="names nobody"):
        await there.handling.log_of(LEAD, "2", "why")


def test_a_case_is_quiet_for_a_while_after_it_is_closed(there: Office) -> None:
    """The command's --quiet works by the same step as the page."""
    there.handling.close(LEAD, "1", "x", quiet=timedelta(days=1))
    with there.handling.book.reading() as db:
        assert db.execute("SELECT count(*) FROM mute").fetchone() == (1,)
    assert there.handling.clears(LEAD)
    assert not there.handling.clears(ONLINE)
    assert "dsl" in there.handling.role_titles()
