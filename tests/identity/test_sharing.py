from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.accounts import Account
from appliance.identity.sharing import Place, Sharing, SharingRules, Told, find
from appliance.identity.uses import Used
from appliance.model.person import Kind
from tests.doubles.people import LAPTOP, NOW, TABLET, school

PUPILS = {"ks1", "ks2"}
ACCOUNTS = {
    "amy": Account("amy", Kind.INDIVIDUAL, "ks2"),
    "class": Account("class", Kind.CLASS, "ks1"),
    "jones": Account("jones", Kind.STAFF, "staff"),
    "guest": Account("guest", Kind.GUEST, "guest", devices=2),
}


def used(
    key: str = "amy", mac: str = TABLET.mac, first: float = 0, last: float = 600, address: str = ""
) -> Used:
    way = "network log-in" if mac == LAPTOP.mac else "portal"
    return Used(key, mac, address or f"10.20.0.{int(mac[-2:] or '0', 16)}", way, NOW + first, NOW + last)


def found(
    *uses: Used, rules: SharingRules | None = None, place: Place | None = None
) -> list[tuple[str, str]]:
    seen = find(uses, ACCOUNTS, lambda _used: place or Place("staff"), PUPILS, rules or SharingRules())
    return [(each.account.name, each.pair) for each in seen]


PAIR = f"{TABLET.mac} {LAPTOP.mac}"


def test_one_person_on_two_devices_at_once_is_seen_across_ways() -> None:
    """S-11: RADIUS on the laptop and the portal on the tablet are one account in two places."""
    assert found(used(), used(mac=LAPTOP.mac)) == [("amy", PAIR)]
    assert found(used(mac=LAPTOP.mac, first=-60), used()) == [("amy", PAIR)], "in whichever order"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (used(last=200), used(mac=LAPTOP.mac, first=180)),  # moved to another computer
        (used("class"), used("class", LAPTOP.mac)),  # a class shares its login
        (used("nobody"), used("nobody", LAPTOP.mac)),  # an account that is gone
        (used(), used("jones", LAPTOP.mac)),  # two people
        (used(mac="", address="fd00::1"), used(mac="", address="fd00::2")),  # one device with two addresses
        (used(mac="", address="10.20.0.1"), used(mac="", address="fd00::2")),  # IPv4 and IPv6 of one
        (used(), used(mac="", address=used().address)),  # whose hardware was not seen for a while
    ],
)
def test_normal_use_is_none(one: Used, other: Used) -> None:
    """Nobody is told of a pupil who goes from one room to the next, or of a class."""
    assert found(one, other) == []


def test_how_many_devices_are_normal_is_a_setting() -> None:
    """Tablet and laptop of one person are normal where the school says so, and for staff by default."""
    two = [used(), used(mac=LAPTOP.mac)]
    assert found(*two, rules=SharingRules(pupil_devices=2)) == []
    assert found(*(used("jones", each.mac) for each in two)) == []
    third = used("jones", "02:00:00:00:00:03", first=60)
    assert len(found(used("jones"), used("jones", LAPTOP.mac), third)) == 1
    assert found(*(used("guest", each.mac) for each in two)) == [], "a voucher says how many"


def test_without_hardware_two_addresses_of_one_kind_are_two_devices() -> None:
    """Behind a router, one IPv4 address is one device."""
    pair = found(used(mac="", address="10.20.0.1"), used(mac="", address="10.20.0.2"))
    assert pair == [("amy", "10.20.0.1 10.20.0.2")]


def test_staff_on_a_pupils_device_are_seen_at_once() -> None:
    """S-05, S-11: the teacher's account on the class's tablet is told of, without any second device."""
    moment = used("jones", last=1)
    assert found(moment, place=Place("ks1", registered=True)) == [("jones", TABLET.mac)]
    assert found(moment, place=Place("ks2")) == [("jones", TABLET.mac)]
    assert found(moment, place=Place("ks2"), rules=SharingRules(pupil_networks=False)) == []
    assert found(moment, place=Place("staff", registered=True)) == []
    assert found(used(), place=Place("ks1", registered=True)) == [], "a pupil belongs there"


def test_what_is_said_holds_no_name_and_no_address() -> None:
    """DP-2: the sentence is kept longer than names and addresses are."""
    seen = find([used(), used(mac=LAPTOP.mac)], ACCOUNTS, lambda _: Place("staff"), PUPILS, SharingRules())
    (one,) = seen
    assert one.because == (
        "One person's account is in use on two devices at once, by network log-in and by portal (S-11)."
    ) or one.because.endswith("by portal and by network log-in (S-11).")
    staff = Sharing(ACCOUNTS["jones"], used("jones"), None, "ks2")
    assert staff.because == "A staff account is in use on a device of the group ks2, by portal (S-11)."


def test_a_pair_is_told_once_a_day(tmp_path: Path) -> None:
    """S-11: not with each request, and again tomorrow."""
    told = Told(school(tmp_path).database)
    one = Sharing(ACCOUNTS["amy"], used(), used(mac=LAPTOP.mac))
    same = Sharing(ACCOUNTS["amy"], used(mac=LAPTOP.mac), used())
    other = Sharing(ACCOUNTS["jones"], used("jones"), None, "ks2")
    assert told.fresh([one], NOW) == [one]
    told.note(one, NOW)
    assert told.fresh([one, same, other], NOW + 3_600) == [other]
    assert told.fresh([one], NOW + 86_400) == [one]
