"""What the process of the pages of cases runs, from start to end; `welcoming` is the sign-in's.

What lives only here: which real things those pages work with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import alerting, assembly, granting, sources
from appliance.alerts import recipients
from appliance.alerts.options import CasePages as PagesSettings
from appliance.config.problems import InWordsError
from appliance.events.audit import Trail
from appliance.gateway.ca import Authority, AuthorityError
from appliance.gateway.certified import Certified
from appliance.gateway.listen import addresses, listening
from appliance.gateway.pages import TEMPLATES
from appliance.granted import Granted
from appliance.handling import Handling
from appliance.identity.accounts import Account
from appliance.identity.database import Database
from appliance.identity.neighbours import neighbours
from appliance.identity.passwords import Passwords
from appliance.identity.second_factor import SecondFactors
from appliance.identity.signing_in import SignIn
from appliance.model.profile import Policy
from appliance.model.role import Grants
from appliance.overrides.limits import roles_of
from appliance.portal.case_app import CasePages
from appliance.portal.case_desk import Desk, Entry
from appliance.portal.case_serve import serve_encrypted
from appliance.portal.pages import Pages
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.identity.oidc import Oidc

logger = logging.getLogger(__name__)


class NoPagesError(InWordsError):
    """The pages of cases cannot be served; the text says what to do."""


def serve_cases(settings: Settings) -> None:
    """Serve the pages of cases until told to end; NoPagesError where that cannot be."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if settings.alerts.pages is None:
        raise NoPagesError("alerts.pages is null: give it an address to listen on")
    given = settings.alerts.pages
    host, port = given.listen
    try:
        context = Certified(Authority(settings.state / "ca"), given.host).context()
        sockets = [listening(address, port) for address in addresses(host)]
    except AuthorityError as error:
        raise NoPagesError(str(error)) from error
    except OSError as error:
        text = "end what listens there, or choose another address in alerts.pages.listen"
        raise NoPagesError(f"cannot listen on {host} port {port} ({error.strerror}); {text}") from error
    serve_encrypted(pages(settings, given).app(), sockets, context)


def pages(settings: Settings, given: PagesSettings, passwords: Passwords | None = None) -> CasePages:
    """Return the pages of a school; `passwords` are at the recommended cost unless given."""
    database, trail = Database(settings.state), Trail(settings.state)
    database.prepare()
    policy = _policy(settings)
    directory = alerting.directory(settings)
    handling = Handling(
        settings.state,
        lambda: policy().sets[settings.school.set],
        directory if settings.alerts.deliver else None,
    )
    handling.book.prepare()

    def category(name: str) -> str:
        known = policy().categories.get(name)
        return known.title if known is not None else name or "not in any category"

    def confirm(secret: str) -> None:
        now = time.time()
        with handling.book.writing() as db:
            address = recipients.confirm(db, directory.addresses, secret, now)
            trail.add("alert-confirm", address, by=address, at=now, by_way="the link in the mail")

    granted = _granted(settings.state)

    def grants(account: Account) -> bool:
        # Who may open something, or has: a teacher without any role for cases comes in for that alone.
        try:
            roles = roles_of(account.name, account.group, policy().sets[settings.school.set].roles)
            return any(role.grants is not Grants.NOTHING for role in roles) or granted.any(
                account.name, account.created
            )
        except (InWordsError, OSError) as error:
            logger.warning("who has opened something is not known just now: %s", error)
            return False

    single = _single(settings, given)
    entry = Entry(
        sign_in=SignIn(
            database, trail, settings.identity.rules, passwords or Passwords(), sources.directory(settings)
        ),
        roles_of=given.roles_of,
        macs=neighbours,
        idle=given.idle_minutes * 60,
        second=_second(settings, given, database, trail),
        grants=grants,
        elsewhere=single.name if single is not None else "",
    )
    desk = Desk(entry, Pages(TEMPLATES, settings.school.name), handling)
    return CasePages(desk, category, confirm, granted, single)


def _single(settings: Settings, given: PagesSettings) -> Oidc | None:
    try:
        return sources.single(settings, given.back) if given.single_sign_on else None
    except OSError as error:  # who has a password comes in all the same
        logger.warning("nobody comes in by the single sign-on just now: %s", error)
        return None


def _granted(state: Path) -> Granted:
    try:
        granting.prepare(state)
    except (InWordsError, OSError) as error:  # cases are served all the same
        logger.warning("what was opened for lessons cannot be shown just now: %s", error)
    return Granted(granting.store(state), granting.reports(state))


def _second(
    settings: Settings, given: PagesSettings, database: Database, trail: Trail
) -> SecondFactors | None:
    if given.second_factor == "none":
        return None
    return SecondFactors(database, settings.state, settings.identity.rules.limits, trail)


def _policy(settings: Settings) -> Callable[[], Policy]:
    store = assembly.snapshots(settings)
    kept: dict[str, Policy] = {}

    def in_force() -> Policy:
        # As the keeper has it; read anew when it has changed, and that is seldom.
        version = store.current()
        if version not in kept:
            kept.clear()
            kept[version] = store.open(version)
        return kept[version]

    return in_force
