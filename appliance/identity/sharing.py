"""Shared accounts (S-11): one person's on more devices at once than they have, staff's on a pupils' device.

What lives only here: what counts as that, however people were identified. Pure but for `Told`, which keeps
what was told already: a pair of devices is told once a day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from appliance.identity.accounts import Account
from appliance.identity.database import Database
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.identity.uses import Used
from appliance.model.person import Kind


@dataclass(frozen=True, slots=True)
class SharingRules:
    """What is normal here: how many devices one person uses at once, and where staff sign in.

    Two devices are in use at once when both were used through `seconds` of the same time.
    """

    pupil_devices: int = 1
    staff_devices: int = 2
    seconds: float = 300.0
    pupil_networks: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """The group that a device has while nobody is signed in, and whether the school registered it."""

    group: str
    registered: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sharing:
    """One thing that was seen: whose account, on which device, and on which other one, if it is about two."""

    account: Account
    used: Used
    other: Used | None
    group: str = ""

    @property
    def pair(self) -> str:
        """What is the same whenever this is seen again."""
        if self.other is None:
            return self.used.device
        return " ".join(sorted((self.used.device, self.other.device)))

    @property
    def because(self) -> str:
        """What was seen, in words without a name or an address."""
        if self.other is None:
            where = f"on a device of the group {self.group}, by {self.used.way}"
            return f"A staff account is in use {where} (S-11)."
        ways = f"by {self.other.way} and by {self.used.way}"
        return f"One person's account is in use on two devices at once, {ways} (S-11)."


def find(
    uses: Iterable[Used],
    accounts: Mapping[str, Account],
    place: Callable[[Used], Place],
    pupils: Collection[str],
    rules: SharingRules,
) -> Iterator[Sharing]:
    """Yield what `uses` show, each pair once.

    `place` says where a device belongs; `pupils` are the groups that are no adults'.
    """
    by_account: dict[str, list[Used]] = {}
    for used in sorted(uses, key=lambda each: (each.first, each.device)):
        by_account.setdefault(used.key, []).append(used)
    for owner, theirs in by_account.items():
        account = accounts.get(owner)
        if account is None or account.kind.shared:
            continue
        yield from _at_once(account, theirs, rules)
        if account.kind is Kind.STAFF:
            yield from _on_pupils(account, theirs, place, pupils, rules)


def _at_once(account: Account, theirs: list[Used], rules: SharingRules) -> Iterator[Sharing]:
    most = _most(account, rules)
    for number, used in enumerate(theirs):
        beside = [each for each in theirs[:number] if _together(each, used) >= rules.seconds]
        if len(beside) >= most:
            yield Sharing(account, used, beside[0])


def _most(account: Account, rules: SharingRules) -> float:
    if account.kind is Kind.GUEST:
        return account.devices or math.inf  # what the voucher is good for
    return rules.staff_devices if account.kind is Kind.STAFF else rules.pupil_devices


def _together(one: Used, other: Used) -> float:
    # Without their hardware, an IPv6 address and any other may be the same device's; and an address is one
    # device's, also while its hardware is not seen.
    same = one.device == other.device or one.address == other.address
    told_apart = (one.mac and other.mac) or (_four(one) and _four(other))
    return min(one.last, other.last) - max(one.first, other.first) if told_apart and not same else 0.0


def _four(used: Used) -> bool:
    return ":" not in used.address


def _on_pupils(
    account: Account,
    theirs: list[Used],
    place: Callable[[Used], Place],
    pupils: Collection[str],
    rules: SharingRules,
) -> Iterator[Sharing]:
    for used in theirs:
        where = place(used)
        if where.group in pupils and (where.registered or rules.pupil_networks):
            yield Sharing(account, used, None, where.group)


class Told:
    """What was told today, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fresh(self, found: Iterable[Sharing], now: float) -> list[Sharing]:
        """Return what was not told on the day of `now` yet."""
        with self._database.reading() as db:
            query = "SELECT key, pair FROM shared WHERE day = ?"
            told = {tuple(row) for row in db.execute(query, (_day(now),))}
        return [each for each in found if (each.account.key, each.pair) not in told]

    def note(self, told: Sharing, now: float) -> None:
        """Note that something was told."""
        with self._database.writing() as db:
            db.execute("DELETE FROM shared WHERE day < ?", (_day(now),))
            db.execute(
                "INSERT OR REPLACE INTO shared VALUES (?, ?, ?)", (told.account.key, told.pair, _day(now))
            )


def _day(now: float) -> str:
    return f"{datetime.fromtimestamp(now, SCHOOL_ZONE):%Y-%m-%d}"
