"""Who else knows people: the school's directory and its single sign-on, as the settings name them.

What lives only here: which real things those are. They are loaded by the processes that ask them and by no
other, so that no worker carries what they bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.events.audit import Trail
from appliance.identity.database import Database
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.identity.ldap import Ldap
    from appliance.identity.outside import Single
    from appliance.identity.rechecking import Recheck


def directory(settings: Settings) -> Ldap | None:
    """Return the school's directory, or None where the settings name none; OSError if its CA is not there."""
    chosen = settings.identity.directory
    if chosen is None:
        return None
    from appliance.identity.ldap import Ldap  # noqa: PLC0415 - no worker asks a directory

    return Ldap(chosen, settings.identity.realms)


def single(settings: Settings) -> Single | None:
    """Return the school's single sign-on, or None where the settings name none; OSError."""
    chosen = settings.identity.oidc
    if chosen is None:
        return None
    from appliance.identity.oidc import Oidc  # noqa: PLC0415 - as above
    from appliance.identity.oidc_link import Link  # noqa: PLC0415 - as above

    back = f"https://{settings.gateway.own_name}/sign-in/back"
    return Oidc(chosen, back, settings.identity.realms, Link(chosen.ca_file))


def recheck(settings: Settings) -> Recheck | None:
    """Return what asks the directory again about people who are signed in; None where there is none."""
    chosen, there = settings.identity.directory, directory(settings)
    if chosen is None or there is None:
        return None
    from appliance.identity.rechecking import Recheck  # noqa: PLC0415 - as above

    database, trail = Database(settings.state), Trail(settings.state)
    every = chosen.recheck_minutes * 60
    return Recheck(database, trail, there, every=every, day_ends=settings.identity.day_ends)
