"""What the sign-in's process runs, from start to end; `serving` is the worker's.

What lives only here: which real things the sign-in works with. It stands apart from `serving`, because it
needs no mitmproxy, and no worker needs what serves it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from appliance import assembly, sources
from appliance.events.audit import Trail
from appliance.gateway.pages import TEMPLATES
from appliance.identity.database import FOLDER, Database
from appliance.identity.neighbours import neighbours
from appliance.identity.networks import Networks
from appliance.identity.passwords import Passwords
from appliance.identity.resolver import Belief
from appliance.identity.signing_in import SignIn
from appliance.model.profile import Audience, Policy
from appliance.portal.app import Portal
from appliance.portal.pages import Pages
from appliance.portal.serve import serve
from appliance.settings import Settings
from appliance.supervisor import go_on


def welcome(settings: Settings) -> None:
    """Serve the sign-in until told to end; OSError where it cannot be served."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    snapshots = assembly.snapshots(settings)
    for recheck in sources.rechecks(settings):
        threading.Thread(target=recheck.keep_asking, name="recheck", daemon=True).start()
    policy = snapshots.open(snapshots.current())
    # Beside what serves, as each worker does: who is known here without a sign-in.
    who = assembly.resolver(settings, policy)
    people = assembly.follower(settings, who, lambda _lost: None)
    threading.Thread(target=lambda: asyncio.run(go_on(people.follow)), name="people", daemon=True).start()
    serve(portal(settings, policy, known=who.look).app(), settings.state / FOLDER)


def portal(
    settings: Settings,
    policy: Policy,
    passwords: Passwords | None = None,
    known: Callable[[str], Belief | None] = lambda _address: None,
) -> Portal:
    """Return the sign-in of a school; `passwords` are at the recommended cost unless given.

    `known` says who is known at an address, by more than its network.
    """
    chosen = policy.sets[settings.school.set]
    database, trail = Database(settings.state), Trail(settings.state)
    database.prepare()

    def audience(group: str) -> Audience:
        return (chosen.profiles.get(group) or chosen.profiles[chosen.strictest]).audience

    identity = settings.identity
    return Portal(
        SignIn(database, trail, identity.rules, passwords or Passwords(), sources.directory(settings)),
        Pages(TEMPLATES, settings.school.name),
        expected=Networks(settings.client_networks, chosen.strictest).resolve,
        audience=audience,
        macs=neighbours,
        agreements={group: each.text for group, each in identity.agreements.items()},
        own_name=settings.gateway.own_name,
        known=known,
        single=sources.single(settings),
    )
