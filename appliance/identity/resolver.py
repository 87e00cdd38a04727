"""Who stands behind an address: every source of belief, in one visible order.

What lives only here: that order. `believe` makes a table of it whenever something changed; a request costs
one look into that table, in memory alone. What the table does not hold is the network's, or nobody's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from appliance.identity.accounts import Account
from appliance.identity.leases import Lease, of_single_names
from appliance.identity.names import key
from appliance.identity.snapshot import Snapshot, person_of
from appliance.identity.uses import Use
from appliance.model.person import Confidence, Person, Standing

PATIENCE = 10.0
"""Seconds for which what was last known still counts when the database cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Whose open connections must end: by network address, and by the name of proxy credentials.

    `addresses` at once: stopped, or past their time. `left` soon: somebody signed out there, and the page
    that says so is still on its way, on one of those very connections. `nameless` at once, but for what was
    opened with credentials: a device that is held, on which somebody else may show their own.
    """

    addresses: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    nameless: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.addresses or self.users or self.left or self.nameless)

    def __or__(self, other: Lost) -> Lost:
        return Lost(
            self.addresses | other.addresses,
            self.users | other.users,
            self.left | other.left,
            self.nameless | other.nameless,
        )


class Otherwise(Protocol):
    """What is believed of an address that nobody signed in on: `networks.Networks`."""

    def resolve(self, address: str) -> Person:
        """Return whom the network of `address` stands for."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Who stands behind an address, until when (seconds since 1970), and whose use of the device that is.

    `use` is None where no account is known. `held` says that whoever shows nothing here is stopped, because
    somebody who is stopped used the device last.
    """

    person: Person
    until: float = math.inf
    use: Use | None = None
    held: bool = False

    @property
    def session(self) -> str:
        """Where the session or network log-in began; empty without one."""
        return self.use.session if self.use is not None else ""


@dataclass(frozen=True, slots=True)
class Registered:
    """A device that the school registered, for a group, with a name for staff.

    `mark` is its hardware address, or the name that it tells the DHCP server.
    """

    mark: str
    group: str
    name: str


def believe(
    known: Snapshot,
    macs: Mapping[str, str],
    devices: Mapping[str, Registered],
    leases: Mapping[str, Lease] | None = None,
    now: float = 0.0,
) -> dict[str, Belief]:
    """Return what is believed of each address, by everything that is known at `now`.

    `macs` are hardware addresses by network address; `devices` the registered ones by their mark; `leases`
    what the DHCP server gave out, by network address.
    """
    table: dict[str, Belief] = {}
    # 1 A network log-in, and 2 a sign-in. Why in this order: the switch itself tells who logged in to it, and
    #   with which hardware; a sign-in was typed on whatever device was at hand. The later of a table wins.
    sessions = dict(_sessions(known, devices)) | dict(_announced(known, devices, now))
    by_mac = {mac: belief for (_, mac), belief in sessions.items() if mac}
    by_address = {address: (mac, belief) for (address, mac), belief in sessions.items()}
    #   All addresses of one device, IPv4 and IPv6, are one session; an address that another device has now
    #   is not that session's any more.
    for address, (mac, belief) in by_address.items():
        if address and (not mac or macs.get(address, mac) == mac):
            table[address] = belief
    table |= {address: by_mac[mac] for address, mac in macs.items() if mac in by_mac}
    # 3 What somebody who is stopped used last. Why here: whoever signs in on it is somebody else, and whoever
    #   says nothing may be the one who is stopped.
    held = dict(_held(known, devices, now))
    for address, mac in macs.items():
        if address not in table and (mac, "") in held:
            table[address] = held[mac, ""]
        # 4 A registered device. Why here: it says whose device this is, and not who holds it.
        elif mac in devices and address not in table:
            table[address] = Belief(_registered(devices[mac]))
    for (mac, address), belief in held.items():
        if address and address not in table and macs.get(address, mac) == mac:
            table[address] = belief
    # 5 A lease of a registered device. Why last: a device can tell the DHCP server what it likes, which
    #   counts for no longer than the lease, and not where the network itself shows other hardware.
    names = of_single_names(leases or {}, now)
    for address, lease in (leases or {}).items():
        device = devices.get(lease.mac) or devices.get(names.get(address, ""))
        elsewhere = lease.mac and macs.get(address, lease.mac) != lease.mac
        if device is not None and lease.until > now and address not in table and not elsewhere:
            table[address] = Belief(_leased(device, lease), lease.until)
    return table


def _sessions(known: Snapshot, devices: Mapping[str, Registered]) -> Iterator[tuple[tuple[str, str], Belief]]:
    for session in known.sessions:
        account = known.accounts.get(session.key)
        if account is None:
            continue
        # 0 A stop. Why before all: it is put over whatever is believed, so that nobody signs out of it.
        stop = known.stops.get(session.key)
        mac = session.device.mac
        device = devices[mac].name if mac in devices else mac
        person = person_of(account, "portal", stop, device)
        use = Use(account.key, "portal", session.device.address, mac)
        yield (session.device.address, mac), Belief(person, session.ends, use)


def _announced(
    known: Snapshot, devices: Mapping[str, Registered], now: float
) -> Iterator[tuple[tuple[str, str], Belief]]:
    for each in known.announced:
        account = known.accounts.get(each.key)
        if account is None or account.disabled:
            continue
        device = devices[each.mac].name if each.mac in devices else each.mac
        person = person_of(account, "network log-in", known.stops.get(each.key), device)
        until = min(each.ends, math.inf if account.expires is None else account.expires)
        if until <= now:
            continue
        # Its addresses may not be known to the switch: then the hardware alone says where it is.
        for address in each.addresses or ("",):
            use = Use(account.key, "network log-in", address or each.mac, each.mac)
            yield (address, each.mac), Belief(person, until, use)


def _held(
    known: Snapshot, devices: Mapping[str, Registered], now: float
) -> Iterator[tuple[tuple[str, str], Belief]]:
    for each in known.held:
        account, stop = known.accounts.get(each.key), known.stops.get(each.key)
        if account is None or stop is None or each.until <= now:
            continue
        device = devices[each.mac].name if each.mac in devices else each.mac
        # No name: who sits there now is not known, and is not to be guessed.
        source = "the device was last used by somebody who is stopped"
        person = Person(account.group, source, Confidence.GROUP, device=device, standing=stop.what)
        belief = Belief(person, each.until, held=True)
        yield (each.mac, "" if each.mac else each.address), belief
        if each.mac and each.address:
            yield (each.mac, each.address), belief  # where the table of neighbours has forgotten it just now


def _registered(device: Registered) -> Person:
    return Person(device.group, "registered device", Confidence.LIKELY, device=device.name)


def _leased(device: Registered, lease: Lease) -> Person:
    how = "hardware address" if device.mark == lease.mac else "name"
    source = f"registered device, by the {how} in its DHCP lease"
    return Person(device.group, source, Confidence.GROUP, device=device.name)


class Resolver:
    """Resolves a client address to a Person, in memory, without I/O; `use` takes what has changed."""

    def __init__(
        self, otherwise: Otherwise, strictest: str, clock: Callable[[], float], *, patience: float = PATIENCE
    ) -> None:
        self._otherwise = otherwise
        self._unreadable = Person(strictest, "the sign-ins cannot be read", Confidence.UNKNOWN)
        self._clock = clock
        self._patience = patience
        self._table: dict[str, Belief] = {}
        self._known = Snapshot()
        self._closes = math.inf
        self._used: set[tuple[str, Use]] = set()
        self._users: dict[str, Use] = {}
        self._over: frozenset[str] = frozenset()

    def resolve(self, address: str, user: str = "") -> Person:
        """Return who stands behind `address`; `user` has shown proxy credentials on this connection."""
        now = self._clock()
        if now >= self._closes:
            # Who was frozen meanwhile cannot be known: nobody is believed (fail closed).
            return self._unreadable
        belief = self._table.get(address)
        if belief is not None and belief.until > now:
            if belief.use is not None:
                self._used.add((address, belief.use))
            # A session on the device outweighs credentials only where it is stopped; a device that is held
            # stops whoever shows none.
            if not user or (belief.person.standing is not Standing.OPEN and not belief.held):
                return belief.person
        else:
            belief = None
        if not user:
            return self._otherwise.resolve(address)
        use = self._users.get(user)
        if use is None:
            use = self._users[user] = Use(key(user), "proxy credentials")
            self._over |= frozenset() if self._open(user, now) else {user}
        found = self._by_credentials(user, now, belief.person.device if belief is not None else "")
        if found is not None:
            self._used.add((address, use))
            return found
        return belief.person if belief is not None and belief.held else self._otherwise.resolve(address)

    def look(self, address: str) -> Belief | None:
        """Return what is believed of an address, by more than its network; this is no use of the device."""
        now = self._clock()
        belief = self._table.get(address) if now < self._closes else None
        return belief if belief is not None and belief.until > now else None

    def account(self, user: str) -> Account | None:
        """Return the account of a name as it was last read, or None."""
        return self._known.accounts.get(key(user))

    def use(self, known: Snapshot, table: dict[str, Belief]) -> Lost:
        """Put a new table in force; return whose open connections must end.

        Those are the addresses that somebody has lost: signed out, stopped, or another's now.
        """
        before, self._table = self._table, table
        known_before, self._known = self._known, known
        self._closes = math.inf
        stopped = frozenset(a for a, new in table.items() if _stopped(before.get(a), new))
        left = frozenset(address for address, old in before.items() if _left(old, table.get(address)))
        # A new password ends what was opened with the old one; who changed it may not be who used it.
        changed = frozenset(
            user for user in self._users if _password(known_before, user) != _password(known, user)
        )
        held = frozenset(address for address in stopped if table[address].held)
        stopped -= held
        return Lost(stopped, self._lost_users() | changed, left - stopped, held - left)

    def expired(self) -> Lost:
        """Forget what is over by now; return whose open connections must end."""
        now = self._clock()
        over = frozenset(address for address, belief in self._table.items() if belief.until <= now)
        if over:
            self._table = {address: b for address, b in self._table.items() if address not in over}
        return Lost(over, self._lost_users())

    def unreadable(self) -> None:
        """Take note that the database cannot be read: what is known counts for a short while only."""
        self._closes = min(self._closes, self._clock() + self._patience)

    def used(self) -> set[tuple[str, Use]]:
        """Return from which addresses which accounts were used since the last time."""
        used, self._used = self._used, set()
        return used

    def _lost_users(self) -> frozenset[str]:
        now = self._clock()
        over = frozenset(user for user in self._users if not self._open(user, now))
        # Once: what is opened by somebody who is stopped already leads to help lines, and is to stay.
        lost, self._over = over - self._over, over
        return lost

    def _open(self, user: str, now: float) -> bool:
        account = self._known.accounts.get(key(user))
        return account is not None and account.usable(now) and account.key not in self._known.stops

    def _by_credentials(self, user: str, now: float, device: str) -> Person | None:
        account = self._known.accounts.get(key(user))
        if account is None or not account.usable(now):
            return None
        return person_of(account, "proxy credentials", self._known.stops.get(account.key), device)


def _password(known: Snapshot, user: str) -> str:
    account = known.accounts.get(key(user))
    return account.password if account is not None else ""


def _stopped(old: Belief | None, new: Belief) -> bool:
    was_open = old is None or old.person.standing is Standing.OPEN
    return was_open and new.person.standing is not Standing.OPEN


def _left(old: Belief, new: Belief | None) -> bool:
    return bool(old.session) and (new is None or new.person.name != old.person.name)
