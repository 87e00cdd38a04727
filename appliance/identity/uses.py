"""Who used which device, and when: noted every few seconds by each worker, for what follows from it later.

What lives only here: that table. From it one sees an account that is in use on two devices at once (S-11),
and which device somebody had in hands just before they were stopped: that device stays stopped for a while,
so that leaving out a name and a password lifts nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from appliance.identity.database import Database
from appliance.identity.stops import Stop

GAP = 900.0
"""A device that was not used for so many seconds, and then is, is used anew."""

TOGETHER = 60.0
"""Two people who both used a device through so many seconds are not at one device, but behind one router."""

HOLD = 86_400.0
"""For how long a device stays stopped after whoever is stopped used it last, unless the settings say."""

_COLUMNS = "key, device, mac, address, way, first, last"


class Use(NamedTuple):
    """That somebody uses a device: whose account, how they are known, and by which session and hardware."""

    key: str
    way: str
    session: str = ""
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """One account on one device; `first` and `last` are seconds since 1970, of a use without a pause."""

    key: str
    mac: str
    address: str
    way: str
    first: float
    last: float

    @property
    def device(self) -> str:
        """What tells one device from another: its hardware address, where that is known."""
        return self.mac or self.address


@dataclass(frozen=True, slots=True)
class Held:
    """A device that stays stopped until a moment, because `key`, who is stopped, used it last."""

    key: str
    mac: str
    address: str
    until: float

    @property
    def device(self) -> str:
        """What tells one device from another."""
        return self.mac or self.address


class Uses:
    """The uses of one school, in its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(
        self,
        rows: Iterable[Used],
        *,
        stopped: Mapping[str, frozenset[str]] | None = None,
        changes: bool = False,
    ) -> None:
        """Note what was used. `stopped` are accounts that were stopped before, with the devices they hold.

        Of those no other device is noted: whoever is stopped must not be able to close one after the other.
        `changes` says that workers must look again.
        """
        stopped = stopped or {}
        kept = [each for each in rows if each.device in stopped.get(each.key, (each.device,))]
        with self._database.writing(changes=changes, accounts=False) as db:
            db.executemany(
                f"INSERT INTO used ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - our own names
                "ON CONFLICT (key, device) DO UPDATE SET address = excluded.address, way = excluded.way, "
                f"first = iif(last + {GAP} < excluded.first, excluded.first, first), "
                "last = max(last, excluded.last)",
                [(u.key, u.device, u.mac, u.address, u.way, u.first, u.last) for u in kept],
            )

    def since(self, moment: float) -> list[Used]:
        """Return what was used at `moment` or later, the one that began first at the head."""
        with self._database.reading() as db:
            return _since(db, moment)

    def forget(self, moment: float) -> None:
        """Forget what was last used before `moment`."""
        with self._database.writing() as db:
            db.execute("DELETE FROM used WHERE last < ?", (moment,))


def held(db: sqlite3.Connection, stops: Collection[Stop], now: float, hold: float) -> tuple[Held, ...]:
    """Return the devices that `stops` hold at `now`: what each person had in hands when they were stopped.

    Not where somebody else was at work through the same time: that is a router, and many devices behind it.
    """
    if not stops:
        return ()
    earliest = min(stop.at for stop in stops) - hold
    rows = _since(db, earliest)
    found: list[Held] = []
    for stop in stops:
        theirs = [each for each in rows if each.key == stop.key and each.last >= stop.at - hold]
        before = max((min(each.last, stop.at) for each in theirs), default=0.0)
        found += [
            Held(each.key, each.mac, each.address, until)
            for each in theirs
            if each.last >= before - GAP and (until := max(each.last, stop.at) + hold) > now
            if not any(_beside(each, other, stop.at) for other in rows)
        ]
    return tuple(found)


def _beside(one: Used, other: Used, until: float) -> bool:
    if one.key == other.key or one.device != other.device:
        return False
    return min(one.last, other.last, until) - max(one.first, other.first) >= TOGETHER


def _since(db: sqlite3.Connection, moment: float) -> list[Used]:
    query = "SELECT key, mac, address, way, first, last FROM used WHERE last >= ? ORDER BY first, device"
    return [Used(*row) for row in db.execute(query, (moment,))]
