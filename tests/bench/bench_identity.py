"""How long it takes to know who is asking, with a school signed in; and how soon a worker knows of a change.

Measures `Resolver.resolve` alone, on a school with a thousand people signed in on devices with two addresses
each, beside what the networks alone cost; then a worker's look at a database that has not changed, and one
that has.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from appliance.identity.accounts import Account
from appliance.identity.following import Follower
from appliance.identity.networks import ClientNetwork, Networks
from appliance.identity.passwords import Passwords
from appliance.identity.resolver import Resolver
from appliance.identity.sessions import Device
from appliance.model.person import Kind
from appliance.model.secret import Secret
from tests.bench.measure import percentile, report
from tests.doubles.people import School, school

PEOPLE, ASKED = 1_000, 50_000
RESOLVE_REACH = 5.0
"""Microseconds."""
CHANGE_REACH = 500.0
"""Milliseconds from a sign-in to its being in force; a look comes every tenth of a second on top."""


def main() -> None:
    """Measure, print, keep."""
    with tempfile.TemporaryDirectory() as folder, report("identity") as done:
        made = school(Path(folder))
        macs = _sign_in(made)
        networks = Networks([ClientNetwork(ipaddress.ip_network("10.20.0.0/16"), "ks2", "Rooms")], "ks1")
        resolver = Resolver(networks, "ks1", time.time)
        follower = Follower(made.database, resolver, {}, lambda _lost: None, lambda: macs)
        first = asyncio.run(_look(follower))
        addresses = random.Random(1).choices([*macs, "10.20.200.1", "192.0.2.1"], k=ASKED)
        known = _times(resolver.resolve, addresses)
        plain = _times(networks.resolve, addresses)
        done.table(
            "Who is asking (microseconds)",
            [
                {"what": what, "median": percentile(times, 0.5), "p99": percentile(times, 0.99)}
                for what, times in (("everything", known), ("networks alone", plain))
            ],
        )
        unchanged = sorted(asyncio.run(_look(follower)) for _ in range(200))
        made.stops.freeze("pupil 7", "bench", by="bench", now=time.time())
        changed = asyncio.run(_look(follower))
        follower.close()
        looks = {"first": first, "nothing new": percentile(unchanged, 0.5), "after a freeze": changed}
        done.table(f"A worker's look, {PEOPLE} signed in (milliseconds)", [looks])
        hashing = min(_hashing() for _ in range(8))
        done.table("A password at the recommended cost (milliseconds of CPU)", [{"argon2id": hashing}])
        done.reach("resolving, median", percentile(known, 0.5), RESOLVE_REACH, "us")
        done.reach("a freeze, read and in force", changed, CHANGE_REACH, "ms")


def _sign_in(made: School) -> dict[str, str]:
    now, macs = time.time(), dict[str, str]()
    accounts = [Account(f"pupil {number}", Kind.INDIVIDUAL, "ks2", "x") for number in range(PEOPLE)]
    made.accounts.add(*accounts)
    for number, account in enumerate(accounts):
        mac = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
        address = f"10.20.{number // 250}.{number % 250 + 1}"
        macs |= {address: mac, f"fd00::{number + 1:x}": mac}
        made.sessions.begin(account, Device(address, mac), now, now + 9_999)
    return macs


async def _look(follower: Follower) -> float:
    started = time.perf_counter()
    await follower.look()
    return (time.perf_counter() - started) * 1e3


def _hashing() -> float:
    started = time.process_time()
    Passwords().make(Secret("Blue-kettle-42"))
    return (time.process_time() - started) * 1e3


def _times(ask: Callable[[str], object], addresses: list[str]) -> list[float]:
    clock = time.perf_counter_ns
    found = []
    for address in addresses:
        started = clock()
        ask(address)
        found.append((clock() - started) / 1e3)
    return sorted(found)


if __name__ == "__main__":
    main()
