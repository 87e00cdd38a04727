"""What a freeze keeps of somebody: the legal hold on the log, and the sealed copy, in that order.

What lives only here: that order, the same for the command and for the page of a case.
"""

from __future__ import annotations

from pathlib import Path

from appliance.events.audit import Trail
from appliance.events.bundle import Bundle, seal
from appliance.events.holds import hold


async def keep_evidence(state: Path, name: str, *, by: str, now: float) -> Bundle:
    """Hold everything that the log knows of `name`, and seal a copy, with its hash in the audit.

    EventsError or OSError where that cannot be done; a hold that was noted before stays.
    """
    await hold(state, name, now)
    bundle = await seal(state, name, now)
    details = {"folder": bundle.folder.name, "hash": bundle.digest, "records": str(bundle.records)}
    Trail(state).add("bundle", name, by=by, at=now, **details)
    return bundle
