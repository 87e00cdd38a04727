"""What follows when an override has ended: its report is made, kept, and whoever granted it is told.

What lives only here: that order, and where each part comes from. Each step can be done again after a power
cut, and is done once: the report has one row, the mail one name. The mail says that a report is there, and
nothing of what is in it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from appliance import granting
from appliance.alerts import ladder
from appliance.alerts.book import Book
from appliance.events.holds import held
from appliance.events.visits import counted
from appliance.overrides.database import Database
from appliance.overrides.report import Visit, visits
from appliance.overrides.reports import LIST, MAIL
from appliance.overrides.written import Override
from appliance.settings import Settings

SETTLE_SECONDS = 10.0
"""So long after its end everything that was cut is in the log, which is written twice a second."""

_DAY = 86_400.0


def visited(state: Path, override: Override) -> list[Visit]:
    """Return what the log has of an override now; EventsError where it cannot be read."""
    return visits(counted(state, f"override {override.number}", override.wish.starts))


def make_due(state: Path, now: float) -> int:
    """Make the report of each override that has ended; return how many were made.

    EventsError, OverrideError, OSError: what could not be made is made the next time.
    """
    reports, made = granting.reports(state), 0
    for override in reports.due(now - SETTLE_SECONDS) if Database(state).path.exists() else ():
        made += reports.keep(override.number, visited(state, override), now=now)
    return made


def tell(settings: Settings, book: Book, now: float) -> int:
    """Tell whoever granted them of the reports of which nobody was told; return how many.

    Those without an address are told by `overrides list`. AlertsError, OverrideError.
    """
    reports, known = granting.reports(settings.state), addresses(settings)
    untold = reports.untold() if Database(settings.state).path.exists() else []
    for one in untold:
        address = known.get(one.granted_by.casefold(), "")
        if address and settings.alerts.deliver:
            # First the letter, whose name keeps it from being put in twice, then the note that it is there.
            with book.writing() as db:
                ladder.reported(db, address, one.number, now, link(settings, one.number))
        reports.told(one.number, MAIL if address and settings.alerts.deliver else LIST)
    return len(untold)


def link(settings: Settings, number: int) -> str:
    """Return the page on which whoever granted it reads its report; an empty text where none is served."""
    pages = settings.alerts.pages
    return f"{pages.address}/overrides/{number}" if pages is not None else ""


def addresses(settings: Settings) -> dict[str, str]:
    """Return the mail addresses of staff, as far as they are known, by names in small letters."""
    found = {**settings.changes.addresses, **settings.overrides.addresses}
    return {name.casefold(): address for name, address in found.items()}


def forget(settings: Settings, now: float) -> int:
    """Take what is past its days out of reports; return how many rows. EventsError, OverrideError."""
    if not Database(settings.state).path.exists():
        return 0
    keep = settings.retention.keep
    least = min(keep[one].days for one in ("name", "device", "client", "host"))
    days = settings.overrides.report_days or least
    names = asyncio.run(held(settings.state))
    return granting.reports(settings.state).blank(now - days * _DAY, names, now=now)
