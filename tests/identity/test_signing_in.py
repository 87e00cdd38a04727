from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.identity.names import IdentityError
from appliance.identity.outside import Found
from appliance.identity.signing_in import AwayError, DueError, RefusedError, SignIn, SignInRules, WaitError
from appliance.identity.snapshot import person_of
from appliance.identity.tries import Limits
from appliance.model.person import Kind
from appliance.model.secret import Secret
from tests.doubles.directory import InMemory
from tests.doubles.people import LAPTOP, NOW, TABLET, WORD, School, quick, school

WRONG = Secret("Wrong-kettle-42")


@pytest.mark.slow
def test_name_and_password_open_the_account(tmp_path: Path) -> None:
    """S-04: the right pair signs in, on this device, to the end of the school day."""
    made = school(tmp_path)
    made.add("amy")
    sign_in = made.sign_in()
    account = sign_in.known("AMY", WORD, TABLET.address, NOW)
    token = sign_in.enter(account, TABLET, NOW)
    assert made.sessions.find(token, TABLET, NOW) is not None


@pytest.mark.slow
def test_a_wrong_name_and_a_wrong_password_look_alike(tmp_path: Path) -> None:
    """Nobody can find out by trying which accounts there are."""
    made = school(tmp_path)
    made.add("amy")
    told = []
    for name, word in (("amy", WRONG), ("nobody", WORD), ("*)(uid=*", WORD), ("amy", Secret(""))):
        with pytest.raises(RefusedError) as error:
            made.sign_in().known(name, word, TABLET.address, NOW)
        told.append(str(error.value))
    assert len(set(told)) == 1


@pytest.mark.slow
def test_guessing_locks_the_account_and_the_address(tmp_path: Path) -> None:
    """CY-2: after ten wrong ones even the right password waits, and the lock stands in the trail."""
    made = school(tmp_path)
    made.add("amy")
    sign_in = made.sign_in(SignInRules(limits=Limits(tries=3)))
    for second in range(3):
        with pytest.raises(RefusedError):
            sign_in.known("amy", WRONG, TABLET.address, NOW + second)
    for address, name in ((LAPTOP.address, "amy"), (TABLET.address, "bob")):
        with pytest.raises(WaitError, match="Wait 5 minutes"):
            sign_in.known(name, WORD, address, NOW + 4)
    assert sign_in.known("amy", WORD, LAPTOP.address, NOW + 400).name == "amy"
    assert [entry["what"] for entry in made.trail.entries()] == ["locked"]


@pytest.mark.slow
def test_whoever_is_stopped_or_out_of_time_does_not_enter(tmp_path: Path) -> None:
    """S-60: the right password opens nothing for a frozen, disabled or expired account."""
    made = school(tmp_path)
    for name, change in (("a", {"disabled": True}), ("b", {"expires": NOW}), ("c", {})):
        made.add(name, **change)
    made.stops.freeze("c", "x", by="head", now=NOW)
    for name in "abc":
        with pytest.raises(RefusedError, match="member of staff"):
            made.sign_in().known(name, WORD, TABLET.address, NOW)


@pytest.mark.slow
def test_the_first_password_is_changed_before_anything_else(tmp_path: Path) -> None:
    """S-10: change at first log-on, to one that is good enough and new."""
    made = school(tmp_path)
    account = made.add("amy", must_change=True)
    sign_in = made.sign_in()
    with pytest.raises(RefusedError, match="still to be done"):
        sign_in.enter(account, TABLET, NOW)
    for weak in ("short", WORD.reveal()):
        with pytest.raises(IdentityError):
            sign_in.change(account, Secret(weak), NOW)
    changed = sign_in.change(account, Secret("Red-lantern-77"), NOW)
    assert sign_in.enter(changed, TABLET, NOW)
    assert sign_in.known("amy", Secret("Red-lantern-77"), TABLET.address, NOW).name == "amy"


@pytest.mark.parametrize(
    ("kind", "days", "due"), [(Kind.STAFF, 0, False), (Kind.STAFF, 100, True), (Kind.INDIVIDUAL, 100, False)]
)
def test_staff_choose_anew_each_september(kind: Kind, days: int, due: bool, tmp_path: Path) -> None:
    """W:341-343: a staff password from before the first of September is changed at the sign-in."""
    made = school(tmp_path)
    account = replace(made.add("ms.jones", kind), changed=NOW - days * 86_400)
    assert made.sign_in().must_change(account, NOW) is due
    assert not made.sign_in(SignInRules(staff_change_month=0)).must_change(account, NOW)


@pytest.mark.slow
def test_nobody_enters_before_agreeing(tmp_path: Path) -> None:
    """S-09: the agreement of the group first; a new version is asked for anew."""
    made = school(tmp_path)
    account = made.add("amy")
    sign_in = made.sign_in(SignInRules(agreements={"ks2": "2026-09"}))
    assert sign_in.agreement(account) == "2026-09"
    with pytest.raises(RefusedError):
        sign_in.enter(account, TABLET, NOW)
    made.accounts.accept(account, "2026-09", TABLET.address, NOW)
    assert sign_in.agreement(account) == ""
    assert sign_in.enter(account, TABLET, NOW)
    assert made.sign_in(SignInRules(agreements={"ks2": "2027-01"})).agreement(account) == "2027-01"


@pytest.mark.slow
def test_staff_who_sign_in_stand_in_the_audit(tmp_path: Path) -> None:
    """S-05: a sign-in of staff is noted with its device; a pupil's is not."""
    made = school(tmp_path)
    sign_in = made.sign_in()
    for account in (made.add("amy"), made.add("ms.jones", Kind.STAFF, "staff")):
        sign_in.enter(account, TABLET, NOW)
    noted = [(entry["what"], entry["whom"], entry["address"]) for entry in made.trail.entries()]
    assert noted == [("sign-in", "ms.jones", TABLET.address)]


def directory_of(made: School, there: InMemory) -> SignIn:
    return SignIn(made.database, made.trail, SignInRules(limits=Limits(tries=3)), quick(), there)


@pytest.mark.slow
def test_whoever_has_no_account_here_is_asked_about_in_the_directory(tmp_path: Path) -> None:
    """Staff by LDAP: right there is right here, as what the directory says, with no password kept here."""
    made, there = school(tmp_path), InMemory({"ms.jones": Found("ms.jones", "staff", Kind.STAFF)})
    sign_in = directory_of(made, there)
    account = sign_in.known("WEST\\MS.Jones", WORD, TABLET.address, NOW)
    assert (account.name, account.group, account.password) == ("ms.jones", "staff", "")
    assert not sign_in.must_change(account, NOW)
    assert sign_in.enter(account, TABLET, NOW)
    assert sign_in.waits_for_directory("ms.jones")
    person = person_of(made.accounts.get("ms.jones"), "portal")
    assert person.source == "staff sign-in, portal, directory"
    made.stops.freeze("ms.jones", "x", by="head", now=NOW)
    with pytest.raises(RefusedError, match="stopped"):
        sign_in.known("ms.jones", WORD, TABLET.address, NOW)


@pytest.mark.slow
def test_guessing_is_counted_for_the_directory_as_well(tmp_path: Path) -> None:
    """CY-2: however the name is written, wrong ones lock here before they lock the account there."""
    made, there = school(tmp_path), InMemory({"amy": Found("amy", "ks2")})
    sign_in = directory_of(made, there)
    for name in ("amy", "WEST\\amy", "amy@west"):
        with pytest.raises(RefusedError, match="do not fit"):
            sign_in.known(name, WRONG, LAPTOP.address, NOW)
    asked = len(there.asked)
    with pytest.raises(WaitError):
        sign_in.known("amy", WORD, TABLET.address, NOW)
    assert len(there.asked) == asked


@pytest.mark.slow
def test_a_directory_that_is_down_opens_to_nobody(tmp_path: Path) -> None:
    """Never open: no answer is no sign-in, in words, and it counts as nobody's wrong password."""
    made, there = school(tmp_path), InMemory(down=True)
    sign_in = directory_of(made, there)
    for _ in range(4):
        with pytest.raises(RefusedError, match="cannot be asked just now"):
            sign_in.known("amy", WORD, TABLET.address, NOW)
    there.down, there.shut = False, {"amy"}
    with pytest.raises(RefusedError, match="not let in"):
        sign_in.known("amy", WORD, TABLET.address, NOW)


@pytest.mark.slow
def test_an_account_kept_here_counts_and_its_double_is_noted(tmp_path: Path) -> None:
    """Duplicate accounts: the local password alone opens, and a technician learns of the other, once."""
    made, there = school(tmp_path), InMemory({"amy": Found("amy", "staff")}, password=WRONG)
    made.add("amy")
    sign_in = directory_of(made, there)
    assert not sign_in.waits_for_directory("amy")
    for _ in range(2):
        assert sign_in.known("amy", WORD, TABLET.address, NOW).group == "ks2"
    assert [entry["what"] for entry in made.trail.entries()] == ["duplicate"]
    with pytest.raises(RefusedError):
        sign_in.known("amy", WRONG, TABLET.address, NOW)


@pytest.mark.slow
def test_proxy_credentials_fit_only_where_nothing_is_left_to_do(tmp_path: Path) -> None:
    """S-09, S-10: no way round a new password or the agreement by giving the old one to the proxy."""
    made = school(tmp_path)
    made.add("amy")
    made.add("ben", must_change=True)
    made.add("old", expires=NOW)
    sign_in, at = made.sign_in(), TABLET.address
    assert sign_in.shown("AMY", WORD, at, NOW).name == "amy"
    agreed = made.sign_in(SignInRules(agreements={"ks2": "2026-09"}))
    for entry, name in ((sign_in, "ben"), (agreed, "amy")):
        with pytest.raises(DueError):
            entry.shown(name, WORD, at, NOW)
    for name, word in (("amy", WRONG), ("nobody", WORD), ("old", WORD)):
        with pytest.raises(RefusedError):
            sign_in.shown(name, word, at, NOW)


def test_who_is_stopped_is_known_by_what_they_show(tmp_path: Path) -> None:
    """S-60: a frozen pupil who shows credentials is that pupil, stopped, and not the network's nobody."""
    made = school(tmp_path)
    made.add("amy")
    made.stops.freeze("amy", "x", by="head", now=NOW)
    assert made.sign_in().shown("amy", WORD, TABLET.address, NOW).name == "amy"


@pytest.mark.slow
def test_staff_who_show_credentials_stand_in_the_audit_once(tmp_path: Path) -> None:
    """S-05: no way round the audit by giving the proxy what the sign-in's page would record."""
    made = school(tmp_path)
    made.add("amy")
    made.add("ms.jones", Kind.STAFF, "staff")
    for entry in (made.sign_in(), made.sign_in()):  # two workers
        for name in ("amy", "ms.jones", "MS.Jones"):
            entry.shown(name, WORD, TABLET.address, NOW)
        with pytest.raises(RefusedError):
            entry.shown("ms.jones", WRONG, TABLET.address, NOW)
    noted = [(entry["what"], entry["whom"], entry["way"]) for entry in made.trail.entries()]
    assert noted == [("sign-in", "ms.jones", "proxy credentials")]


def test_without_an_audit_staff_enter_nowhere_and_whoever_is_stopped_stays_so(tmp_path: Path) -> None:
    """A full disk opens no more at the proxy than at the page: no sign-in, and no stop that is forgotten."""
    made = school(tmp_path)
    account = made.add("ms.jones", Kind.STAFF, "staff")
    made.trail.path.parent.mkdir()
    made.trail.path.mkdir()  # nothing can be written there
    sign_in = made.sign_in()
    with pytest.raises(OSError, match="audit"):
        sign_in.enter(account, TABLET, NOW)
    with pytest.raises(OSError, match="audit"):
        sign_in.shown("ms.jones", WORD, TABLET.address, NOW)
    made.trail.path.rmdir()
    made.stops.freeze("ms.jones", "x", by="head", now=NOW)
    made.trail.path.unlink()
    made.trail.path.mkdir()
    assert sign_in.shown("ms.jones", WORD, TABLET.address, NOW).name == "ms.jones"


@pytest.mark.slow
def test_a_device_that_repeats_itself_forgives_no_guesses(tmp_path: Path) -> None:
    """CY-2: the right password, sent by its owner's tablet all day, does not start a guesser's count anew."""
    made = school(tmp_path)
    made.add("amy")
    sign_in = made.sign_in()
    for number in range(9):
        with pytest.raises(RefusedError):
            sign_in.shown("amy", WRONG, f"10.20.0.{number}", NOW)
        sign_in.shown("amy", WORD, TABLET.address, NOW)
    with pytest.raises(RefusedError):
        sign_in.shown("amy", WRONG, "10.20.0.99", NOW)
    with pytest.raises(WaitError):
        sign_in.shown("amy", WORD, TABLET.address, NOW)


@pytest.mark.slow
def test_a_directory_that_is_down_is_no_wrong_password(tmp_path: Path) -> None:
    """Directory down: nobody enters, nobody is locked for it, and accounts kept here do not ask it."""
    made, there = school(tmp_path), InMemory({"ms.jones": Found("ms.jones", "staff")}, down=True)
    made.add("amy")
    sign_in = directory_of(made, there)
    for _ in range(5):
        with pytest.raises(AwayError):
            sign_in.shown("ms.jones", WORD, TABLET.address, NOW)
    asked = len(there.asked)
    assert sign_in.shown("amy", WORD, TABLET.address, NOW).name == "amy"
    assert len(there.asked) == asked, "what a device repeats all day must not wait for a directory"
    there.down = False
    assert sign_in.shown("ms.jones", WORD, TABLET.address, NOW).name == "ms.jones"
