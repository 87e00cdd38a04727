"""What the supervisor keeps up in the audit: seals, checkpoints, what was forgotten, who changes what.

What lives only here: when that is done. A failure costs one round, never the filter.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime

from appliance.events.audit import Trail
from appliance.events.checkpoints import GATEWAY, Checkpoints, send
from appliance.events.errors import EventsError
from appliance.events.record import moment
from appliance.events.retention import Gone, retire
from appliance.events.seals import Sealer
from appliance.settings import Settings

_SEAL_SECONDS = 60.0
_RETIRE_SECONDS = 3600.0

logger = logging.getLogger(__name__)


def note_approval(settings: Settings) -> None:
    """Note in the audit whether one or two people change the policy, where that is new."""
    # That one person may change the policy alone is a choice of the school's, and stands in the audit.
    trail, chosen = Trail(settings.state), settings.changes.approval
    try:
        before = trail.last("approval")
        if before is None or before["whom"] != chosen:
            trail.add("approval", chosen, by=GATEWAY, at=time.time())
    except (EventsError, OSError) as error:
        logger.warning("the audit cannot be written: %s", error)


async def seal(settings: Settings) -> None:
    """Seal what is new and write checkpoints, for ever."""
    # Flagged events join the audit within a minute, and what says how far it goes leaves the box in its time.
    sealer = Sealer(settings.state)
    points = Checkpoints(settings.state, settings.school.name)
    next_point = 0.0
    while True:
        try:
            await asyncio.to_thread(sealer.seal, time.time())
            if time.monotonic() >= next_point:
                next_point = time.monotonic() + settings.audit.checkpoint_hours * 3600
                await asyncio.to_thread(_checkpoint, points, settings)
        except (OSError, EventsError) as error:
            logger.warning("the audit could not be sealed this time: %s", error)
        await asyncio.sleep(_SEAL_SECONDS)


async def forget(settings: Settings, now: datetime, by: str = GATEWAY) -> list[Gone]:
    """Remove what is past its days, and note each class of it in the audit; EventsError or OSError.

    `now` is aware. Returns what has gone. What is on hold stays.
    """
    done = await retire(settings.state, settings.retention, now)
    trail = Trail(settings.state)
    for gone in done.proof:
        await asyncio.to_thread(
            trail.add, "retention", gone.what, by=by, at=now.timestamp(),
            rows=float(gone.rows), until=moment(gone.upto).isoformat(), digest=gone.digest,
        )  # fmt: skip
    return done.proof


async def keep_terms(settings: Settings) -> None:
    """Forget what is past its days: at the start and then every hour, for ever (DP-2)."""
    while True:
        try:
            await forget(settings, datetime.now(UTC))
        except (OSError, EventsError) as error:
            logger.warning("old records could not be removed this time: %s", error)
        await asyncio.sleep(_RETIRE_SECONDS)


def _checkpoint(points: Checkpoints, settings: Settings) -> None:
    if points.due():
        made = points.make(time.time())
        send(made, settings.audit.copy_to, to_syslog=settings.audit.syslog)
