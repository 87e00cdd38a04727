"""What the supervisor keeps up in the audit: seals, checkpoints, and how the policy is changed here.

What lives only here: when that is done. A failure costs one round, never the filter.
"""

from __future__ import annotations

import asyncio
import logging
import time

from appliance.events.audit import Trail
from appliance.events.checkpoints import GATEWAY, Checkpoints, send
from appliance.events.errors import EventsError
from appliance.events.seals import Sealer
from appliance.settings import Settings

_SEAL_SECONDS = 60.0

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


def _checkpoint(points: Checkpoints, settings: Settings) -> None:
    if points.due():
        made = points.make(time.time())
        send(made, settings.audit.copy_to, to_syslog=settings.audit.syslog)
