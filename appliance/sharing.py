"""Tells of accounts that are shared: an event of its own in the log, and a line in the audit.

What lives only here: the way from what workers noted to that event. It is looked for beside all requests, a
few times a minute; nothing that decides waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from appliance import assembly
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.store import EventStore
from appliance.gateway.references import new_reference
from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.networks import Networks
from appliance.identity.resolver import Registered
from appliance.identity.sharing import Place, Sharing, Told, find
from appliance.identity.snapshot import person_of
from appliance.identity.uses import GAP, Used, Uses
from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.event import Access
from appliance.model.profile import Audience, Policy
from appliance.settings import Settings

LOOK_SECONDS = 15.0

logger = logging.getLogger(__name__)


async def watch(settings: Settings) -> None:
    """Look for shared accounts for ever; a round that fails is told, and the next one comes."""
    watching = Watching(settings)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await watching.look(time.time())
        except (IdentityError, EventsError, OSError) as error:
            logger.warning("shared accounts could not be looked for this time: %s", error)


class Watching:
    """Looks for shared accounts of one school."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trail = Trail(settings.state)
        database = Database(settings.state)
        self._accounts = Accounts(database)
        self._uses = Uses(database)
        self._told = Told(database)
        self._snapshots = assembly.snapshots(settings)
        self._policy: Policy | None = None

    async def look(self, now: float) -> int:
        """Tell of what is new at `now`; return how much that was. IdentityError, EventsError, OSError."""
        found = await asyncio.to_thread(self._found, now)
        if found:
            store = await EventStore.open(self._settings.state)
            try:
                for each in found:
                    # The log first: what is noted as told was told.
                    await store.commit(event(each, now, self._settings.identity.registered))
                    await asyncio.to_thread(self._note, each, now)
            finally:
                await store.close()
        return len(found)

    def _found(self, now: float) -> list[Sharing]:
        self._uses.forget(now - max(2 * GAP, self._settings.identity.stop_holds_hours * 3600) - GAP)
        uses = self._uses.since(now - GAP)
        if not uses:
            return []
        accounts = {account.key: account for account in self._accounts.all()}
        return self._told.fresh(self._seen(uses, accounts), now)

    def _seen(self, uses: Iterable[Used], accounts: Mapping[str, Account]) -> Iterable[Sharing]:
        current = self._snapshots.current()
        if self._policy is None or self._policy.version != current:
            self._policy = self._snapshots.open(current)
        chosen = self._policy.sets[self._settings.school.set]
        pupils = {name for name, profile in chosen.profiles.items() if profile.audience is not Audience.ADULT}
        where = places(self._settings, chosen.strictest)
        return find(uses, accounts, where, pupils, self._settings.identity.sharing.rules)

    def _note(self, told: Sharing, now: float) -> None:
        other = f"; the other device: {told.other.device}" if told.other else ""
        self._trail.add(
            "sharing", told.account.name, by=assembly.GATEWAY, at=now, address=told.used.address,
            what_was_seen=f"{told.because}{other}",
        )  # fmt: skip
        self._told.note(told, now)


def places(settings: Settings, strictest: str) -> Callable[[Used], Place]:
    """Return what says to which group a device belongs: as the school registered it, else by its network."""
    networks = Networks(settings.client_networks, strictest)
    devices = settings.identity.registered

    def place(used: Used) -> Place:
        if (device := devices.get(used.mac)) is not None:
            return Place(device.group, registered=True, name=device.name)
        return Place(networks.resolve(used.address).group)

    return place


def event(seen: Sharing, now: float, devices: Mapping[str, Registered]) -> Access:
    """Return what the log keeps of shared accounts: both devices, and no site."""
    names = [
        devices[used.mac].name if used.mac in devices else used.device
        for used in (seen.used, seen.other)
        if used is not None
    ]
    account = seen.account
    return Access(
        reference=new_reference(),
        at=datetime.fromtimestamp(now, UTC),
        person=person_of(account, seen.used.way, device=" and ".join(names)),
        client=seen.used.address,
        host="",
        url=None,
        method="",
        decision=Decision(
            Action.ALLOW,
            Reason.ACCOUNT_SHARING,
            seen.because,
            account.group,
            severity=Severity.LOW,
            flagged=True,
        ),
    )
