from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from appliance.identity.following import Follower
from appliance.identity.leases import Lease
from appliance.identity.networks import Networks
from appliance.identity.resolver import Lost, Registered, Resolver
from appliance.identity.uses import Uses
from appliance.model.person import Confidence, Standing
from tests.doubles.people import LAPTOP, NOW, TABLET, School, school


class Following:
    """A follower of a school, with a clock and a table of neighbours of its own."""

    def __init__(self, made: School, macs: dict[str, str] | OSError | None = None) -> None:
        self.now = NOW
        self.cut: list[Lost] = []
        self.macs = macs or {}
        self.resolver = Resolver(Networks([], "ks1"), "ks1", lambda: self.now)
        self.follower = Follower(made.database, self.resolver, {}, self.cut.append, self.neighbours)

    def neighbours(self) -> dict[str, str]:
        if isinstance(self.macs, OSError):
            raise self.macs
        return self.macs


@pytest.mark.slow
async def test_a_worker_knows_of_a_sign_in_and_of_a_freeze_at_its_next_look(tmp_path: Path) -> None:
    """S-60: what the database says is in force with the next look, and open connections are cut."""
    made = school(tmp_path)
    at = Following(made, {"fd00::14": TABLET.mac})
    await at.follower.look()
    assert at.resolver.resolve(TABLET.address).name == ""
    made.sessions.begin(made.add("amy"), TABLET, NOW, 2 * NOW)
    await at.follower.look()
    assert at.resolver.resolve("fd00::14").name == "amy"
    assert at.cut == []
    made.stops.freeze("amy", "x", by="head", now=NOW)
    await at.follower.look()
    assert at.cut == [Lost(frozenset({TABLET.address, "fd00::14"}))]
    assert at.resolver.resolve(TABLET.address).standing is Standing.FROZEN
    at.follower.close()


@pytest.mark.slow
async def test_whoever_asks_during_a_look_knows_what_it_found(tmp_path: Path) -> None:
    """A sign-in that is told while a look is under way counts when both have ended: none is passed over."""
    made = school(tmp_path)
    at = Following(made)
    made.sessions.begin(made.add("amy"), TABLET, NOW, 2 * NOW)
    first = asyncio.create_task(at.follower.look())
    await asyncio.sleep(0)
    await at.follower.look()
    assert first.done()
    assert at.resolver.resolve(TABLET.address).name == "amy"
    at.follower.close()


@pytest.mark.slow
async def test_use_is_told_so_that_a_session_does_not_end_meanwhile(tmp_path: Path) -> None:
    """S-12: a device that is in use is not idle."""
    made = school(tmp_path)
    at = Following(made, OSError("no such table here"))
    made.sessions.begin(made.add("amy"), TABLET, NOW, 2 * NOW)
    await at.follower.look()
    at.resolver.resolve(TABLET.address)
    at.follower._told = -1000.0
    await at.follower.look()
    assert made.sessions.open(NOW)[0].seen != NOW
    at.follower.close()


@pytest.mark.slow
async def test_a_database_that_is_gone_closes_and_comes_back(tmp_path: Path) -> None:
    """Fail closed: nobody is believed while it cannot be read, and everybody again afterwards."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, 2 * NOW)
    at = Following(made)
    await at.follower.look()
    with made.database.writing(changes=True) as db:
        db.execute("UPDATE account SET kind = 'rubbish'")
    await at.follower.look()
    at.now += 60
    assert at.resolver.resolve(TABLET.address).confidence is Confidence.UNKNOWN
    with made.database.writing(changes=True) as db:
        db.execute("UPDATE account SET kind = 'individual'")
    await at.follower.look()
    assert at.resolver.resolve(TABLET.address).name == "amy"
    at.follower.close()


async def test_leases_that_cannot_be_read_keep_what_was_known_of_them(tmp_path: Path) -> None:
    """A DHCP server that is being restarted makes nobody somebody else, and is told once."""
    made, clock = school(tmp_path), time.time() + 60
    answers: list[dict[str, Lease] | OSError] = [
        {"10.30.0.1": Lease("", "printer-2", clock)},
        OSError("gone"),
    ]

    def leases() -> dict[str, Lease]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    devices = {"printer-2": Registered("printer-2", "staff", "Printer")}
    found = Resolver(Networks([], "ks1"), "ks1", lambda: clock - 1)
    follower = Follower(made.database, found, devices, lambda _lost: None, dict, leases)
    for _ in range(2):
        follower._asked = -1000.0
        await follower.look()
        assert found.resolve("10.30.0.1").device == "Printer"
    assert answers == []
    follower.close()


@pytest.mark.slow
async def test_what_is_used_is_noted_with_its_hardware(tmp_path: Path) -> None:
    """S-11: of a session and of credentials alike, beside all requests."""
    made = school(tmp_path)
    made.add("bob")
    at = Following(made, {TABLET.address: TABLET.mac, LAPTOP.address: LAPTOP.mac})
    made.sessions.begin(made.add("amy"), TABLET, NOW, 2 * NOW)
    await at.follower.look()
    at.resolver.resolve(TABLET.address)
    at.resolver.resolve(LAPTOP.address, "BOB")
    at.resolver.resolve("192.0.2.1", "nobody")
    at.follower._told = -1000.0
    await at.follower.look()
    noted = {(each.key, each.mac, each.way) for each in Uses(made.database).since(0)}
    assert noted == {("amy", TABLET.mac, "portal"), ("bob", LAPTOP.mac, "proxy credentials")}
    at.follower.close()


@pytest.mark.slow
async def test_a_device_used_a_moment_before_the_freeze_is_held(tmp_path: Path) -> None:
    """S-60: whoever was frozen within the seconds before a use is written finds no way round either."""
    made = school(tmp_path)
    made.add("amy")
    at = Following(made, {TABLET.address: TABLET.mac})
    await at.follower.look()
    assert at.resolver.resolve(TABLET.address, "amy").standing is Standing.OPEN
    made.stops.freeze("amy", "x", by="head", now=time.time())
    for _ in range(2):
        await at.follower.look()
    at.now = time.time()
    assert at.resolver.resolve(TABLET.address).standing is Standing.FROZEN
    assert at.cut[-1].nameless == {TABLET.address}
    # Another device, at which the name is shown afterwards, is not closed for others.
    at.resolver.resolve(LAPTOP.address, "amy")
    at.follower._told = -1000.0
    await at.follower.look()
    assert [each.address for each in Uses(made.database).since(0)] == [TABLET.address]
    at.follower.close()
