"""What is kept up in the audit: seals, checkpoints, what was forgotten, who changes what.

What lives only here: when that is done. A failure costs one round, never the filter. All of it is the
supervisor's, but for the mails to governors: the keeper has what sends them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

from appliance.alerts import ladder
from appliance.alerts.book import Book, get, put
from appliance.events.audit import Trail
from appliance.events.checkpoints import GATEWAY, Checkpoints, send
from appliance.events.errors import EventsError
from appliance.events.leap import leapt
from appliance.events.record import moment
from appliance.events.retention import Gone, retire
from appliance.events.seals import Sealer
from appliance.settings import Settings

_SEAL_SECONDS = 60.0
_RETIRE_SECONDS = 3600.0
_MAILED = "checkpoints given to the mail"
_MOST_MAILS = 31
"""Checkpoints mailed at once: of more than so many the newest are enough, for each covers all before."""

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

    `now` is aware. Returns what has gone. What is on hold stays; all of it does for a day after the clock has
    leapt ahead, which is logged.
    """
    if await leapt(settings.state, now):
        logger.warning(
            "the clock is more than a week ahead of the last time that old records were removed: they stay "
            "for a day, so that a wrong clock removes nothing; `date` shows whether it is right"
        )
        return []
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


def mail_checkpoints(settings: Settings, book: Book, now: float) -> int:
    """Give what sends mails each checkpoint that is new, for every governor; return how many mails.

    The first time that is the newest alone. Which ones were given is noted with them, so that whatever dies
    in between loses none and repeats none. AlertsError, OSError.
    """
    if not settings.audit.mail_to:
        return 0
    paths = Checkpoints(settings.state, settings.school.name).paths()
    with book.reading() as db:
        given = get(db, _MAILED)
    known = json.loads(given) if given else [path.name for path in paths[:-1]]
    new = [path for path in paths if path.name not in set(known)][-_MOST_MAILS:]
    if not new:
        return 0
    with book.writing() as db:
        mails = sum(_mail(db, settings.audit.mail_to, path, now) for path in new)
        put(db, _MAILED, json.dumps([path.name for path in paths]))
    return mails


def _mail(db: Connection, to: tuple[str, ...], path: Path, now: float) -> int:
    try:
        return ladder.checkpoint(db, to, path.name, path.read_text("utf-8"), now)
    except ValueError as error:
        logger.error("%s is not mailed to governors: %s", path, error)  # noqa: TRY400 - it says all
        return 0


def _checkpoint(points: Checkpoints, settings: Settings) -> None:
    if points.due():
        made = points.make(time.time())
        send(made, settings.audit.copy_to, to_syslog=settings.audit.syslog)
