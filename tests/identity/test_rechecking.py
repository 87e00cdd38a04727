from __future__ import annotations

from collections.abc import Callable
from datetime import time
from pathlib import Path

import pytest

from appliance.identity.accounts import Account
from appliance.identity.outside import DIRECTORY, Found, NotAskedError, admit
from appliance.identity.rechecking import Recheck
from appliance.identity.uses import Used, Uses
from appliance.model.person import Kind
from tests.doubles.directory import InMemory
from tests.doubles.people import LAPTOP, NOW, TABLET, School, school


def of(made: School, there: InMemory) -> Recheck:
    """Return what asks again, about two who are signed in: amy of the directory, and bob who is kept here."""
    amy = admit(made.accounts, Found("amy", "ks2"), DIRECTORY, NOW, there.lasts)
    made.sessions.begin(amy, TABLET, NOW, NOW + 9_999)
    made.sessions.begin(made.add("bob"), LAPTOP, NOW, NOW + 9_999)
    return rechecking(made, lambda account: there.look_up(account.name))


def rechecking(made: School, about: Callable[[Account], Found | None]) -> Recheck:
    return Recheck(
        made.database,
        made.trail,
        DIRECTORY,
        about,
        name="the school's directory",
        lasts=3600.0,
        every=900,
        day_ends=time(18),
    )


@pytest.mark.slow
def test_who_is_still_there_goes_on(tmp_path: Path) -> None:
    """A school day is longer than what one answer is good for: each new one lets the session last."""
    made, there = school(tmp_path), InMemory({"amy": Found("amy", "ks2")})
    recheck = of(made, there)
    recheck.once(NOW + 899)
    assert there.asked == []
    recheck.once(NOW + 900)
    assert there.asked == ["amy"]
    assert made.accounts.get("amy").expires == NOW + 4500
    assert max(each.ends for each in made.sessions.open(NOW, "amy")) == NOW + 4500
    assert made.trail.entries() == []


@pytest.mark.slow
@pytest.mark.parametrize("shut", [set[str](), {"amy"}])
def test_who_has_left_is_signed_out(shut: set[str], tmp_path: Path) -> None:
    """An account that is disabled or gone in the directory loses its session within minutes."""
    made = school(tmp_path)
    of(made, InMemory(shut=shut)).once(NOW + 900)
    assert made.sessions.open(NOW + 900, "amy") == []
    assert not made.accounts.get("amy").usable(NOW + 900)
    assert len(made.sessions.open(NOW + 900, "bob")) == 1
    assert [entry["what"] for entry in made.trail.entries()] == ["left"]


@pytest.mark.slow
def test_another_group_counts_at_once(tmp_path: Path) -> None:
    """Whoever moves to another group there has its profile here, in the session that is open."""
    made = school(tmp_path)
    of(made, InMemory({"amy": Found("amy", "staff", Kind.STAFF)})).once(NOW + 900)
    assert made.accounts.get("amy").group == "staff"
    assert len(made.sessions.open(NOW + 900, "amy")) == 1
    assert [entry["what"] for entry in made.trail.entries()] == ["regrouped"]


@pytest.mark.slow
def test_while_it_is_down_what_was_told_counts_until_its_time(tmp_path: Path) -> None:
    """Directory down: sessions go on for the stated time, and then nobody is believed."""
    made = school(tmp_path)
    recheck = of(made, InMemory(down=True))
    recheck.once(NOW + 900)
    assert len(made.sessions.open(NOW + 3599, "amy")) == 1
    recheck.once(NOW + 3600)
    assert made.sessions.open(NOW + 3600, "amy") == []


@pytest.mark.slow
def test_a_round_that_fails_is_not_the_last(tmp_path: Path) -> None:
    """A database that is busy for a moment does not end the asking for the day."""
    rounds = []

    def pause(_seconds: float) -> None:
        rounds.append(1)
        if len(rounds) > 2:
            raise KeyboardInterrupt

    made = school(tmp_path)
    recheck = of(made, InMemory())
    made.database.path.unlink()
    with pytest.raises(KeyboardInterrupt):
        recheck.keep_asking(pause)


@pytest.mark.slow
def test_who_is_known_in_another_way_is_asked_about_as_well(tmp_path: Path) -> None:
    """Proxy credentials and network log-ins have no session: what workers note of them counts."""
    made = school(tmp_path)
    admit(made.accounts, Found("amy", "ks2"), DIRECTORY, NOW, 3600)
    Uses(made.database).note([Used("amy", "", "10.20.0.9", "proxy credentials", NOW + 850, NOW + 890)])
    recheck = rechecking(made, lambda _account: None)
    recheck.once(NOW + 900)
    assert not made.accounts.get("amy").usable(NOW + 900)
    recheck.once(NOW + 960)
    assert [entry["what"] for entry in made.trail.entries()] == ["left"], "once, and not each minute"


@pytest.mark.slow
def test_whoever_cannot_be_asked_about_keeps_nobody_waiting(tmp_path: Path) -> None:
    """One person without a token does not end the round for the others."""
    made = school(tmp_path)
    asked = []
    for name, where in (("amy", TABLET), ("bob", LAPTOP)):
        account = admit(made.accounts, Found(name, "ks2"), DIRECTORY, NOW, 3600)
        made.sessions.begin(account, where, NOW, NOW + 9_999)

    def about(account: Account) -> Found | None:
        asked.append(account.name)
        raise NotAskedError("nothing to ask with")

    rechecking(made, about).once(NOW + 900)
    assert asked == ["amy", "bob"]
    assert len(made.sessions.open(NOW + 900)) == 2
