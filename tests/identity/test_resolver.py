from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from appliance.identity.announced import AnnouncedStore, Report, Status
from appliance.identity.leases import Lease
from appliance.identity.names import key
from appliance.identity.networks import ClientNetwork, Network, Networks
from appliance.identity.resolver import Lost, Registered, Resolver, believe
from appliance.identity.sessions import Device
from appliance.identity.snapshot import Snapshot, read
from appliance.identity.uses import Use, Used, Uses
from appliance.model.person import Confidence, Kind, Standing
from tests.doubles.people import LAPTOP, NOW, TABLET, School, school

ROOM: Network = ipaddress.ip_network("10.20.0.0/16")
OTHERWISE = Networks([ClientNetwork(ROOM, "ks2", "Classrooms", sign_in=True)], "ks1")
MACS = {TABLET.address: TABLET.mac, "fd00::14": TABLET.mac, LAPTOP.address: LAPTOP.mac}
DEVICES = {LAPTOP.mac: Registered(LAPTOP.mac, "ks1", "Laptop 15, library")}


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def resolver(made: School, clock: Clock, macs: dict[str, str] | None = None) -> Resolver:
    found = Resolver(OTHERWISE, "ks1", clock)
    use(made, found, macs)
    return found


def use(made: School, found: Resolver, macs: dict[str, str] | None = None) -> Lost:
    known = read(made.database, NOW)
    return found.use(known, believe(known, MACS if macs is None else macs, DEVICES))


@pytest.mark.slow
def test_the_sources_of_belief_have_one_order(tmp_path: Path) -> None:
    """S-01, UKF-S8: a sign-in counts before the device, the device before the network."""
    made = school(tmp_path)
    found = resolver(made, Clock())
    unsigned = found.resolve(TABLET.address)
    assert (unsigned.group, unsigned.standing) == ("ks2", Standing.SIGNED_OUT)
    device = found.resolve(LAPTOP.address)
    assert (device.group, device.confidence, device.device) == (
        "ks1",
        Confidence.LIKELY,
        "Laptop 15, library",
    )
    made.sessions.begin(made.add("amy", group="staff"), LAPTOP, NOW, NOW + 99)
    use(made, found)
    assert (found.resolve(LAPTOP.address).name, found.resolve(LAPTOP.address).device) == (
        "amy",
        "Laptop 15, library",
    )
    assert found.resolve("192.0.2.1").group == "ks1"


def test_both_addresses_of_a_device_are_one_session(tmp_path: Path) -> None:
    """A tablet that speaks IPv6 as well is signed in there, too, and its neighbour is not."""
    made = school(tmp_path)
    made.sessions.begin(made.add("Class 1B", Kind.CLASS), TABLET, NOW, NOW + 99)
    found = resolver(made, Clock())
    assert found.resolve("fd00::14").name == "Class 1B"
    assert found.resolve("fd00::14").confidence is Confidence.GROUP
    assert found.resolve(LAPTOP.address).name == ""


@pytest.mark.slow
def test_an_address_that_another_device_has_now_is_not_signed_in(tmp_path: Path) -> None:
    """MAC change: whoever gets a pupil's old address by DHCP is not that pupil."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    found = resolver(made, Clock())
    assert found.resolve(TABLET.address).name == "amy"
    moved = {TABLET.address: "02:00:00:00:00:01"}
    assert use(made, found, moved).left == {TABLET.address, "fd00::14"}
    assert found.resolve(TABLET.address).name == ""
    assert resolver(made, Clock(), {}).resolve(TABLET.address).name == "amy"


@pytest.mark.slow
def test_a_freeze_is_told_for_cutting_and_cannot_be_signed_out_of(tmp_path: Path) -> None:
    """S-60: the frozen person's device stays theirs, so that it does not fall back to the class's access."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    found = resolver(made, Clock())
    made.stops.freeze("amy", "x", by="head", now=NOW)
    assert use(made, found).addresses == {TABLET.address, "fd00::14"}
    assert found.resolve(TABLET.address).standing is Standing.FROZEN
    assert found.resolve(TABLET.address, "bob").standing is Standing.FROZEN
    assert use(made, found) == Lost()


def test_a_session_ends_to_the_second(tmp_path: Path) -> None:
    """S-08: at the end of its time nothing more is let through as this person, and connections end."""
    made, clock = school(tmp_path), Clock()
    made.sessions.begin(made.add("visitor", Kind.GUEST, "guest"), TABLET, NOW, NOW + 30)
    found = resolver(made, clock)
    clock.now = NOW + 29.9
    assert found.resolve(TABLET.address).name == "visitor"
    use_of = Use("visitor", "portal", TABLET.address, TABLET.mac)
    assert found.used() == {(TABLET.address, use_of)}
    assert found.used() == set()
    assert found.expired() == Lost()
    clock.now = NOW + 30
    assert found.resolve(TABLET.address).name == ""
    assert found.expired().addresses == {TABLET.address, "fd00::14"}
    assert found.expired() == Lost()


@pytest.mark.slow
def test_proxy_credentials_last_as_long_as_the_account(tmp_path: Path) -> None:
    """A disabled or frozen account is nobody at once, on connections that are open as well."""
    made = school(tmp_path)
    made.add("amy")
    made.add("bob")
    found = resolver(made, Clock())
    person = found.resolve("10.20.0.99", "Amy")
    assert (person.name, person.source) == ("amy", "own sign-in, proxy credentials")
    assert found.resolve("10.20.0.99", "bob").name == "bob"
    assert found.account("AMY") is not None
    made.accounts.change("amy", disabled=True)
    made.stops.freeze("bob", "x", by="head", now=NOW)
    assert use(made, found).users == {"Amy", "bob"}
    assert found.resolve("10.20.0.99", "amy").name == ""
    assert found.resolve("10.20.0.99", "bob").standing is Standing.FROZEN
    # Help lines that they open now are not cut again and again.
    assert found.expired() == Lost()
    assert use(made, found) == Lost()


@pytest.mark.slow
def test_a_new_password_ends_what_was_opened_with_the_old_one(tmp_path: Path) -> None:
    """Whoever found out somebody's password loses what they have open when it is changed."""
    made = school(tmp_path)
    amy = made.add("amy")
    made.add("bob")
    found = resolver(made, Clock())
    for name in ("amy", "bob"):
        found.resolve("10.20.0.99", name)
    made.accounts.own_password(amy, "another", NOW)
    assert use(made, found).users == {"amy"}


def test_who_was_stopped_before_is_not_cut_for_asking_for_help(tmp_path: Path) -> None:
    """A10: a frozen pupil's first connection, to a help line, stays open."""
    made = school(tmp_path)
    made.add("amy")
    made.stops.freeze("amy", "x", by="head", now=NOW)
    found = resolver(made, Clock())
    assert found.resolve("10.20.0.99", "amy").standing is Standing.FROZEN
    assert found.expired() == Lost()


@pytest.mark.slow
def test_nobody_is_believed_when_the_database_cannot_be_read(tmp_path: Path) -> None:
    """Fail closed: after a short patience everybody is unknown and gets the strictest profile."""
    made, clock = school(tmp_path), Clock()
    made.sessions.begin(made.add("amy", group="staff"), TABLET, NOW, NOW + 9_999)
    found = resolver(made, clock)
    found.unreadable()
    assert found.resolve(TABLET.address).name == "amy"
    clock.now = NOW + 60
    found.unreadable()
    person = found.resolve(TABLET.address)
    assert (person.group, person.confidence, person.name) == ("ks1", Confidence.UNKNOWN, "")
    use(made, found)
    assert found.resolve(TABLET.address).name == "amy"


def test_an_account_without_a_session_leaves_no_trace(tmp_path: Path) -> None:
    """A session of an account that was removed is nobody's."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), Device("10.20.0.20"), NOW, NOW + 99)
    known = read(made.database, NOW)
    assert "10.20.0.20" in believe(known, {}, {})
    assert believe(type(known)({}, known.sessions, {}), {}, {}) == {}


def test_who_signs_out_still_gets_the_page_that_says_so(tmp_path: Path) -> None:
    """S-12: connections of a session that was ended end a little later, those of a stopped one at once."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 99)
    found = resolver(made, Clock())
    made.sessions.end_on(TABLET)
    lost = use(made, found)
    assert lost == Lost(left=frozenset({TABLET.address, "fd00::14"}))
    assert lost | Lost(users=frozenset({"bob"})) == Lost(users=frozenset({"bob"}), left=lost.left)


def login(made: School, name: str, *addresses: str, mac: str = TABLET.mac, at: float = NOW) -> None:
    """Let somebody log in to the network, as a switch tells it."""
    store = AnnouncedStore(made.database, 600)
    store.take(Report(Status.START, "wifi", "ap", name, at, name, mac, addresses), at, at + 60)
    store.settle(name, counts=True)


@pytest.mark.slow
def test_a_network_log_in_counts_before_a_sign_in(tmp_path: Path) -> None:
    """The order of belief: the switch says who logged in to it; a sign-in was typed on what was at hand."""
    made, clock = school(tmp_path), Clock()
    made.add("amy")
    made.sessions.begin(made.add("bob"), TABLET, NOW, NOW + 9_999)
    found = resolver(made, clock)
    assert found.resolve(TABLET.address).name == "bob"
    login(made, "amy", TABLET.address)
    use(made, found)
    for address in (TABLET.address, "fd00::14"):
        person = found.resolve(address)
        assert (person.name, person.source) == ("amy", "own sign-in, network log-in")
        assert person.confidence is Confidence.CERTAIN
    clock.now = NOW + 60
    assert found.resolve(TABLET.address).name == ""
    assert found.expired().addresses == {TABLET.address, "fd00::14"}
    known = read(made.database, NOW)
    found.use(known, believe(known, MACS, DEVICES, now=clock.now))
    assert found.resolve(TABLET.address).name == "bob"


@pytest.mark.slow
def test_a_log_in_without_addresses_is_found_by_its_hardware(tmp_path: Path) -> None:
    """A switch tells of a log-in before the device has an address; the gateway finds it by its hardware."""
    made = school(tmp_path)
    made.add("amy")
    login(made, "amy")
    found = resolver(made, Clock())
    assert found.resolve("fd00::14").name == found.resolve(TABLET.address).name == "amy"
    assert found.resolve(LAPTOP.address).name == ""
    moved = {TABLET.address: "02:00:00:00:00:01"}
    login(made, "amy", TABLET.address, at=NOW + 1)
    assert use(made, found, moved).left
    assert found.resolve(TABLET.address).name == ""


@pytest.mark.slow
def test_a_freeze_holds_for_a_network_log_in(tmp_path: Path) -> None:
    """S-60: frozen is frozen, however somebody came in; and whoever is disabled here is nobody."""
    made = school(tmp_path)
    made.add("amy")
    login(made, "amy", TABLET.address)
    found = resolver(made, Clock())
    made.stops.freeze("amy", "x", by="head", now=NOW)
    assert TABLET.address in use(made, found).addresses
    assert found.resolve(TABLET.address).standing is Standing.FROZEN
    made.accounts.change("amy", disabled=True)
    use(made, found)
    assert found.resolve(TABLET.address).name == ""


LEASED = {
    TABLET.mac: Registered(TABLET.mac, "ks1", "Tablet 14"),
    "printer-2": Registered("printer-2", "staff", "Printer, office"),
}


def test_a_lease_is_the_weakest_way_to_know_a_device() -> None:
    """S-06: it counts behind everything else, for as long as it lasts, and the record says what it is."""
    leases = {
        "10.30.0.1": Lease(TABLET.mac, "x", NOW + 60),
        "10.30.0.2": Lease("", "printer-2", NOW + 60),
        "10.30.0.3": Lease(TABLET.mac, "", NOW),
        "10.30.0.4": Lease("", "nobodys", NOW + 60),
    }
    table = believe(Snapshot(), {}, LEASED, leases, NOW)
    assert set(table) == {"10.30.0.1", "10.30.0.2"}
    by_mac, by_name = table["10.30.0.1"], table["10.30.0.2"]
    assert (by_mac.person.source, by_mac.until) == (
        "registered device, by the hardware address in its DHCP lease",
        NOW + 60,
    )
    assert by_name.person.source == "registered device, by the name in its DHCP lease"
    assert (by_name.person.confidence, by_name.person.name) == (Confidence.GROUP, "")
    # The network itself shows other hardware there: somebody took the address.
    assert "10.30.0.1" not in believe(Snapshot(), {"10.30.0.1": "02:00:00:00:00:01"}, LEASED, leases, NOW)
    seen = believe(Snapshot(), {"10.30.0.1": TABLET.mac}, LEASED, leases, NOW)["10.30.0.1"].person
    assert (seen.source, seen.confidence) == ("registered device", Confidence.LIKELY)


def frozen_after(made: School, *rows: Used, at: float = NOW) -> Resolver:
    """Return what a worker believes once amy, who used these devices, is frozen at a moment."""
    Uses(made.database).note(rows)
    made.stops.freeze("amy", "x", by="head", now=at)
    return resolver(made, Clock())


def on_tablet(last: float = NOW - 20) -> Used:
    return Used("amy", TABLET.mac, TABLET.address, "proxy credentials", last - 600, last)


@pytest.mark.slow
def test_leaving_out_credentials_lifts_no_freeze(tmp_path: Path) -> None:
    """S-60: the device that the frozen pupil used stays stopped for whoever says nothing, by its hardware."""
    made = school(tmp_path)
    made.add("amy")
    made.add("bob")
    before = resolver(made, Clock())
    assert before.resolve(TABLET.address).standing is not Standing.FROZEN
    found = frozen_after(made, on_tablet())
    for address in (TABLET.address, "fd00::14"):
        person = found.resolve(address)
        assert (person.standing, person.name, person.confidence) == (Standing.FROZEN, "", Confidence.GROUP)
    assert use(made, before).nameless == {TABLET.address, "fd00::14"}  # what was open there is cut
    # Whoever shows their own name on it is themselves; amy is stopped wherever she shows hers.
    assert found.resolve(TABLET.address, "bob").name == "bob"
    assert found.resolve(TABLET.address, "amy").standing is Standing.FROZEN
    assert found.resolve(TABLET.address, "nobody").standing is Standing.FROZEN
    assert found.resolve(LAPTOP.address).standing is Standing.OPEN


@pytest.mark.slow
def test_a_registered_device_is_held_as_well_and_a_session_there_is_its_own(tmp_path: Path) -> None:
    """S-60: a class's tablet is no way out either; whoever signs in on it is somebody else."""
    made = school(tmp_path)
    made.add("amy")
    row = Used("amy", LAPTOP.mac, LAPTOP.address, "portal", NOW - 60, NOW - 10)
    found = frozen_after(made, row)
    held = found.resolve(LAPTOP.address)
    assert (held.standing, held.device) == (Standing.FROZEN, "Laptop 15, library")
    assert found.look(LAPTOP.address) is not None
    made.sessions.begin(made.add("bob"), LAPTOP, NOW, NOW + 99)
    use(made, found)
    assert found.resolve(LAPTOP.address).name == "bob"
    made.sessions.end_on(LAPTOP)
    use(made, found)
    assert found.resolve(LAPTOP.address).standing is Standing.FROZEN, "a friend's sign-in lifts nothing"


@pytest.mark.slow
def test_a_device_without_hardware_is_held_by_its_address(tmp_path: Path) -> None:
    """S-60: behind a router the address is all there is; a device that has it now by its hardware is free."""
    made = school(tmp_path)
    made.add("amy")
    found = frozen_after(made, Used("amy", "", "10.20.9.9", "proxy credentials", NOW - 60, NOW - 10))
    assert found.resolve("10.20.9.9").standing is Standing.FROZEN
    use(made, found, {"10.20.9.9": LAPTOP.mac})
    assert found.resolve("10.20.9.9").standing is not Standing.FROZEN


@pytest.mark.slow
def test_what_is_lifted_or_past_its_time_is_held_no_more(tmp_path: Path) -> None:
    """S-60: the end of the stop, or of the stated time, gives the device back."""
    made, clock = school(tmp_path), Clock()
    made.add("amy")
    found = frozen_after(made, on_tablet())
    made.stops.lift("amy", Standing.FROZEN, by="head", now=NOW)
    use(made, found)
    assert found.resolve(TABLET.address).standing is not Standing.FROZEN
    made.stops.freeze("amy", "x", by="head", now=NOW)
    found = resolver(made, clock)
    clock.now = NOW + 86_400
    assert found.resolve(TABLET.address).standing is not Standing.FROZEN


@pytest.mark.slow
def test_a_clock_that_is_set_back_brings_nobody_back(tmp_path: Path) -> None:
    """Clock skew: what was over stays over for the worker, whatever the clock says then."""
    made, clock = school(tmp_path), Clock()
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 30)
    found = resolver(made, clock)
    clock.now = NOW + 30
    found.expired()
    clock.now = NOW - 3_600
    assert found.resolve(TABLET.address).name == ""


@pytest.mark.slow
def test_two_people_behind_one_address_are_each_themselves(tmp_path: Path) -> None:
    """NAT: credentials count for the request that shows them, and a freeze for the one who is frozen."""
    made = school(tmp_path)
    for name in ("amy", "Zoë Ñandú", "李小龍"):
        made.add(name)
    found = resolver(made, Clock())
    seen = [found.resolve("10.20.9.9", name).name for name in ("amy", "ZOË ñandú", "李小龍", "")]
    assert seen == ["amy", "Zoë Ñandú", "李小龍", ""]
    assert {use.key for _, use in found.used()} == {key(each) for each in seen if each}
    made.stops.freeze("amy", "x", by="head", now=NOW)
    assert use(made, found).users == {"amy"}
    assert found.resolve("10.20.9.9", "李小龍").standing is Standing.OPEN
