from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.announced import Report, Status, announced
from appliance.identity.outside import DIRECTORY, Found
from appliance.identity.radius_people import NETWORK, Logins
from appliance.model.person import Kind
from tests.doubles.directory import InMemory
from tests.doubles.people import NOW, TABLET, School, school

pytestmark = pytest.mark.slow


def report(name: str = "amy", **more: object) -> Report:
    given = {"mac": TABLET.mac, "addresses": (TABLET.address,)} | more
    return Report(Status.START, "wifi", "ap", "S1", NOW, name, **given)  # type: ignore[arg-type] # its fields


def logins(made: School, there: InMemory | None = None, **agreements: str) -> Logins:
    return Logins(
        made.database,
        silence=1500,
        window=300,
        classes={"year4": ("ks2", Kind.INDIVIDUAL)},
        agreements=agreements,
        realms=["west", "west.example"],
        directory=there,
    )


def believed(made: School) -> list[str]:
    with made.database.reading() as db:
        return [each.key for each in announced(db, NOW)]


def come(kept: Logins, told: Report) -> str:
    assert kept.take(told, NOW)
    return kept.settle(told, NOW)


@pytest.mark.parametrize("name", ["amy", "WEST\\Amy", "amy@West.example"])
def test_a_log_in_is_of_the_account_of_that_name(name: str, tmp_path: Path) -> None:
    """However the device writes its user, it is the one account."""
    made = school(tmp_path)
    made.add("amy")
    assert come(logins(made), report(name)) == ""
    assert believed(made) == ["amy"]


@pytest.mark.parametrize(
    "name", ["", "host/pc-12.west.example", "PC-12$", "anonymous", "amy@other.example", "a:b"]
)
def test_who_is_nobody_known_is_nobody(name: str, tmp_path: Path) -> None:
    """A machine, an outer name, a stranger's realm: the network counts, never a guess."""
    made = school(tmp_path)
    made.add("amy")
    come(logins(made), report(name))
    assert believed(made) == []


def test_a_class_says_the_group_of_whoever_has_no_account(tmp_path: Path) -> None:
    """A RADIUS server that knows the groups needs no directory besides; an account here wins."""
    made = school(tmp_path)
    made.add("bob", group="staff")
    kept = logins(made)
    for name in ("amy", "bob", "zoë"):
        come(kept, report(name, classes=("other", "year4"), mac=name))
    assert (made.accounts.get("amy").group, made.accounts.get("amy").source) == ("ks2", NETWORK)
    assert made.accounts.get("bob").group == "staff"
    assert made.accounts.get("zoë").expires == NOW + 1500


def test_nobody_is_believed_before_the_agreement(tmp_path: Path) -> None:
    """S-09: a log-in to the network is no acceptance; it counts from the next packet after one."""
    made = school(tmp_path)
    account = made.add("amy")
    kept = logins(made, ks2="2026-09")
    come(kept, report())
    assert believed(made) == []
    made.accounts.accept(account, "2026-09", TABLET.address, NOW)
    come(kept, report())
    assert believed(made) == ["amy"]


def test_the_directory_is_asked_about_whoever_is_not_known(tmp_path: Path) -> None:
    """A pupil who never signed in here is in the right group as soon as the directory has answered."""
    made, there = school(tmp_path), InMemory({"amy": Found("amy", "ks2")})
    kept = logins(made, there)
    assert come(kept, report("WEST\\amy")) == "amy"
    kept.ask("amy", NOW)
    assert believed(made) == ["amy"]
    assert made.accounts.get("amy").source == DIRECTORY
    assert come(kept, report()) == ""
    kept.ask("nobody", NOW)


def test_while_the_directory_is_down_its_last_word_counts(tmp_path: Path) -> None:
    """Directory down: known people go on for the stated time, and then nobody does; never open."""
    made, there = school(tmp_path), InMemory({"amy": Found("amy", "ks2")})
    kept = logins(made, there)
    come(kept, report())
    kept.ask("amy", NOW)
    there.down = True
    assert kept.settle(report(), NOW + 3599) == ""
    assert believed(made) == ["amy"]
    assert kept.settle(report(), NOW + 3600) == "amy"
    kept.ask("amy", NOW + 3600)
    assert believed(made) == []


def test_who_is_shut_out_there_is_not_believed_here(tmp_path: Path) -> None:
    """A pupil who has left may still be on the network for an hour, and is nobody here."""
    made, there = school(tmp_path), InMemory(shut={"amy"})
    kept = logins(made, there)
    come(kept, report())
    kept.ask("amy", NOW)
    assert believed(made) == []
    made.add("bob", disabled=True)
    come(kept, report("bob"))
    assert believed(made) == []
