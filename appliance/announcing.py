"""What the process runs that takes network log-ins (RADIUS accounting), from start to end.

What lives only here: which real things it works with. It needs no mitmproxy, and no worker needs what it
brings.
"""

from __future__ import annotations

import ipaddress
import logging

from appliance import sources
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.options_radius import RadiusSettings
from appliance.identity.radius import Client, Reader
from appliance.identity.radius_people import Logins
from appliance.identity.radius_serve import Accounting, listen, serve
from appliance.identity.secret_files import read_secret
from appliance.metrics import Metrics
from appliance.settings import Settings


def announce(settings: Settings) -> None:
    """Take network log-ins until told to end; IdentityError, OSError where they cannot be taken."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    chosen = settings.identity.radius
    if chosen is None:
        raise IdentityError("identity.radius is null: no network log-ins are to be taken")
    Database(settings.state).prepare()
    metrics = Metrics(settings.state / "metrics")
    listening = listen(chosen.listen)
    with listening:
        made = Accounting(
            reader(chosen), logins(settings, chosen), lambda outcome: metrics.radius(outcome.value)
        )
        serve(made, listening)


def reader(chosen: RadiusSettings) -> Reader:
    """Return what reads packets, with the secrets of those who may tell; IdentityError."""
    clients = [
        Client(ipaddress.ip_network(each.address), read_secret(each.secret_file), each.name)
        for each in chosen.clients
    ]
    return Reader(clients, chosen.window_seconds)


def logins(settings: Settings, chosen: RadiusSettings) -> Logins:
    """Return what keeps log-ins."""
    identity = settings.identity
    return Logins(
        Database(settings.state),
        silence=chosen.silence_minutes * 60,
        window=chosen.window_seconds,
        classes={each.value: (each.group, each.kind) for each in chosen.classes},
        agreements=identity.rules.agreements,
        realms=identity.realms,
        directory=sources.directory(settings),
    )
