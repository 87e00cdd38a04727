"""Who else knows people: the school's directory and its single sign-on, as the settings name them.

What lives only here: which real things those are. They are loaded by the processes that ask them and by no
other, so that no worker carries what they bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.events.audit import Trail
from appliance.identity.database import Database
from appliance.identity.outside import DIRECTORY, SINGLE
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.identity.ldap import Ldap
    from appliance.identity.oidc import Oidc
    from appliance.identity.rechecking import Recheck


def directory(settings: Settings) -> Ldap | None:
    """Return the school's directory, or None where the settings name none; OSError if its CA is not there."""
    chosen = settings.identity.directory
    if chosen is None:
        return None
    from appliance.identity.ldap import Ldap  # noqa: PLC0415 - no worker asks a directory

    return Ldap(chosen, settings.identity.realms)


def single(settings: Settings, back: str = "") -> Oidc | None:
    """Return the school's single sign-on, or None where the settings name none; OSError.

    People come back to the gateway's own name, or to `back`: then they are not asked about again later.
    """
    chosen = settings.identity.oidc
    if chosen is None:
        return None
    from appliance.identity.oidc import Oidc  # noqa: PLC0415 - as above
    from appliance.identity.oidc_link import Link  # noqa: PLC0415 - as above
    from appliance.identity.refreshing import Tokens  # noqa: PLC0415 - as above

    tokens = None if back else Tokens(Database(settings.state), settings.state)
    there = back or f"https://{settings.gateway.own_name}/sign-in/back"
    return Oidc(chosen, there, settings.identity.realms, Link(chosen.ca_file), tokens)


def rechecks(settings: Settings) -> list[Recheck]:
    """Return what asks again about people who are here: the directory, and the single sign-on."""
    from appliance.identity.rechecking import Recheck  # noqa: PLC0415 - as above

    identity, database, trail = settings.identity, Database(settings.state), Trail(settings.state)
    found = []
    if identity.directory is not None and (there := directory(settings)) is not None and there.looks_up:
        found.append(
            Recheck(
                database,
                trail,
                DIRECTORY,
                lambda account: there.look_up(account.name),
                name="the school's directory",
                lasts=there.lasts,
                every=identity.directory.recheck_minutes * 60,
                day_ends=identity.day_ends,
            )
        )
    if identity.oidc is not None and (one := single(settings)) is not None:
        found.append(
            Recheck(
                database,
                trail,
                SINGLE,
                one.again,
                name="the single sign-on",
                lasts=one.lasts,
                every=identity.oidc.recheck_minutes * 60,
                day_ends=identity.day_ends,
            )
        )
    return found
