"""What the gateway itself takes back: a stage whose time is over, a change after which blocks or faults jump.

What lives only here: when that is looked at, and what is never taken back. It concerns the profiles alone: a
site that somebody closed, a list and the statutory lists are no part of it, so that nothing that was closed
in an emergency is ever opened by it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from ipaddress import ip_network

from appliance import assembly
from appliance.changes.database import BusyError
from appliance.changes.jump import foreseen, jump
from appliance.changes.notices import RETURNED
from appliance.changes.store import Proposal, State
from appliance.config.problems import InWordsError
from appliance.events.shares import Client, Shares, shares
from appliance.model.person import Person
from appliance.model.stage import Stage
from appliance.releasing import changes, notices, policy_alone, take_back
from appliance.settings import Settings

GATEWAY = "the gateway"
_LOOK_SECONDS = 10.0
_WEEK = 7 * 86_400.0
_NEWEST = 20

logger = logging.getLogger(__name__)


async def watch(settings: Settings) -> None:
    """Take back what is to be taken back, and undo what was not decided to its end, for ever."""
    known: dict[int, Shares] = {}
    failing = False
    while True:
        try:
            with suppress(BusyError):  # somebody decides just now
                await asyncio.to_thread(changes(settings).mend)
            if settings.changes.approval == "two":
                await asyncio.to_thread(look, settings, time.time(), known)
            failing = False
        except (InWordsError, OSError) as error:
            if not failing:  # said once, not every ten seconds
                logger.warning("released changes cannot be watched now: %s", error)
            failing = True
        await asyncio.sleep(_LOOK_SECONDS)


def look(settings: Settings, now: float, known: dict[int, Shares]) -> None:
    """Look once; `known` keeps what was asked before each release. InWordsError, OSError."""
    current = assembly.snapshots(settings).current()
    for proposal in changes(settings).newest(_NEWEST):
        if proposal.state is State.STAGED and _is_over(proposal, now):
            back(settings, proposal, f"its time was over ({proposal.stage['shown']})", now)
        elif _counts(proposal, current) and (why := _harm(settings, proposal, now, known)):
            back(settings, proposal, why, now)


def back(settings: Settings, proposal: Proposal, why: str, now: float) -> None:
    """Take a change back, and have it told; InWordsError, OSError."""
    changes(settings).take_back(
        proposal.number,
        by=GATEWAY,
        at=now,
        reason=why,
        act=lambda found: take_back(settings, found),
        gateway=True,
    )
    words = f"change {proposal.number} was taken back: {why}"
    notices(settings).add(RETURNED, words, by=GATEWAY, at=now)
    logger.warning("%s", words)


def _counts(proposal: Proposal, current: str) -> bool:
    if proposal.state is State.STAGED:
        return current == proposal.base
    return proposal.state is State.RELEASED and current == proposal.version


def _is_over(proposal: Proposal, now: float) -> bool:
    until = proposal.stage.get("until")
    return until is not None and now >= until


def _harm(settings: Settings, proposal: Proposal, now: float, known: dict[int, Shares]) -> str:
    chosen, at = settings.changes.returns, proposal.decided_at or 0.0
    if proposal.stage.get("stays") or not policy_alone(proposal) or not at <= now <= at + chosen.minutes * 60:
        return ""

    def meant(client: Client) -> bool:
        return proposal.state is State.RELEASED or _stage(proposal).touches(
            Person(client.group, "", name=client.name), client.address
        )

    after = shares(settings.state, at, now + 1, proposal.version, meant)
    if sum(after.blocked.values()) + sum(after.faults.values()) < chosen.minimum:
        return ""
    if proposal.number not in known:
        known[proposal.number] = shares(settings.state, at - _WEEK, at, "", meant)
    return jump(
        known[proposal.number],
        after,
        expected=foreseen(proposal.impact),
        factor=chosen.factor,
        minimum=chosen.minimum,
    )


def _stage(proposal: Proposal) -> Stage:
    said = proposal.stage
    return Stage(
        proposal.version,
        proposal.number,
        said["shown"],
        frozenset(said["groups"]),
        frozenset(said["names"]),
        tuple(ip_network(each) for each in said["networks"]),
    )
