"""What one process does for all: ending what is over, and adding the people whom the settings name.

What lives only here: both jobs, each safe to be repeated and to be killed half-way.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from appliance.config.problems import ProblemsError
from appliance.identity.accounts import Accounts
from appliance.identity.database import Database
from appliance.identity.importing import Reading, first_secret, plan, read_people
from appliance.identity.passwords import Passwords
from appliance.identity.sessions import Sessions
from appliance.identity.stops import Stops, Trail

_log = logging.getLogger(__name__)


def end_what_is_over(database: Database, stops: Stops, idle: float, now: float) -> None:
    """End sessions that are over or idle, and stops whose time has passed; IdentityError, OSError."""
    Sessions(database).end_idle(now, idle)
    for stop in stops.restore_due(now):
        _log.warning("the access of an account was restored: its time is over (stop %d)", stop.number)


def add_people(
    database: Database, trail: Trail, file: Path, groups: Collection[str], passwords: Passwords, now: float
) -> int:
    """Add whoever the file names and who is not there yet; return how many. Problems are logged.

    Only those with a password or pictures in the file: a made-up one could be told to nobody here.
    """
    try:
        found = plan(read_people(file, Reading(), groups), Accounts(database).all(), now)
    except ProblemsError as error:
        _log.error("the file of people was not taken:\n%s", error)
        return 0
    new = [account for account in found.new if found.passwords[account.key]]
    made = [
        replace(account, password=passwords.make(first_secret(found.passwords[account.key])[0]))
        for account in new
    ]
    if made:
        Accounts(database).add(*made)
        trail.add("import", file.name, by="the gateway", at=now, new=str(len(made)))
    return len(made)
