"""What a configuration file can say and nobody can mean.

What lives only here: the second look at settings that are well formed: values that contradict each other, or
the other files, or that would quietly open what is to be closed, or close everything. Each is a problem at
its line, with what would be right.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path

from appliance.alerts.options import needs as alert_needs
from appliance.config.alerts import ALERTS_FILE
from appliance.config.categories import STATUTORY
from appliance.config.document import Document
from appliance.config.document import Path as Keys
from appliance.config.incidents import INCIDENTS_FILE
from appliance.config.problems import Problem, unknown
from appliance.config.profiles import SET_FILE
from appliance.config.roles import ROLES_FILE
from appliance.config.sets import read_set
from appliance.config.typed import open_document
from appliance.events.fields import contradictions
from appliance.identity.networks import ProxySignIn
from appliance.lists.catalogue import CATALOGUE_FILE, CATEGORIES_FILE, Catalogue
from appliance.model.profile import Policy, ProfileSet
from appliance.settings import STATE_VARIABLE, Configuration, Settings, kept

type Need = tuple[Keys, str]
"""A key of the settings, and what is wrong with what stands there."""

_BROADEST = {4: 8, 6: 7}
"""Prefix of the largest network that a school can have inside: 10.0.0.0/8, fc00::/7."""


def implausible(settings: Settings, document: Document) -> list[Problem]:
    """Return everything in the settings that cannot be meant."""
    checks = (
        *(_names, _folders, _ports, _reachable, _own_name, _static_hosts, _demo, _state, _retention),
        *(_proxy_sign_in, _devices, _people, _governors),
    )
    return [document.problem(place, message) for check in checks for place, message in check(settings)]


def identity_notes(settings: Settings) -> list[str]:
    """Return what is to be known of weak ways to say who one is."""
    identity, found = settings.identity, []
    if identity.allow_plain and settings.gateway.listen is not None:
        found.append(
            "identity.allow_plain is true: passwords for the proxy cross the school's network in the clear "
            "on gateway.listen, and whoever listens there has them; use gateway.listen_tls where devices can"
        )
    if named := [one.name for one in identity.devices if one.lease_name is not None]:
        found.append(
            f"{', '.join(named)}: known by the name in a DHCP lease, which any device can give itself; use "
            "mac where the profile opens more than the network's own"
        )
    if offered := [one.name for one in identity.networks if one.proxy_sign_in is ProxySignIn.OFFERED]:
        found.append(
            f"names and passwords for the proxy are offered, not required, on {', '.join(offered)}: whoever "
            "gives none there is the network's anonymous person; of somebody who is frozen the device that "
            "they used last is stopped, for identity.stop_holds_hours"
        )
    return found


def term_notes(set_file: Path, today: date) -> list[str]:
    """Return what is to be known of the terms in a set's file; `today` is the school's own date.

    No problem: a gateway that starts again in September must not stay closed for it. Raises ProblemsError.
    """
    document = open_document(set_file)
    terms = read_set(document, set_file.parent.name).shape.terms
    if not terms or max(term.last for term in terms) >= today:
        return []
    last = max(term.last for term in terms)
    text = (
        f"every term is over (the last day was {last}), so that every day counts as a holiday; "
        "add the terms of this school year"
    )
    return [str(document.problem(("terms",), text, key=True))]


def _names(settings: Settings) -> Iterator[Need]:
    if not settings.school.name.strip():
        yield ("school", "name"), "the school's name is blank; pages and the certificate show it"
    for index, network in enumerate(settings.identity.networks):
        if not network.name.strip():
            yield (
                ("identity", "networks", index, "name"),
                "the network's name is blank; staff know the network by it",
            )


def _folders(settings: Settings) -> Iterator[Need]:
    for name in ("profiles", "blocklists"):
        folder: Path = getattr(settings.paths, name)
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            yield (
                ("paths", name),
                f"the folder {folder} {what}; a relative path counts from this file's folder",
            )


def _ports(settings: Settings) -> Iterator[Need]:
    if not settings.gateway.ports:
        yield (
            ("gateway", "ports"),
            "no port at all: every site would be blocked; the web's own are [80, 443]",
        )


def _reachable(settings: Settings) -> Iterator[Need]:
    for index, network in enumerate(settings.gateway.reachable):
        if network.prefixlen < _BROADEST[network.version]:
            message = (
                f"{network} opens the school's whole network and this machine to everybody; the web is "
                "reachable without it. Name the server that is meant, such as 10.0.5.20/32"
            )
            yield ("gateway", "reachable", index), message


def _own_name(settings: Settings) -> Iterator[Need]:
    own, place = settings.gateway.own_name, ("gateway", "own_name")
    if _is_number(own):
        yield place, f"{own} is an IP address; write a name that no site has, such as filter.internal"
    elif own in settings.gateway.static_hosts or (settings.demo and settings.demo.name == own):
        yield place, f"{own} is the name of another site here; that site could never be reached"


def _static_hosts(settings: Settings) -> Iterator[Need]:
    for name, addresses in settings.gateway.static_hosts.items():
        place = ("gateway", "static_hosts", name)
        if "*" in name:
            yield place, f"{name!r}: a * stands for nothing here; write each name on a line of its own"
        elif _is_number(name):
            yield place, f"{name} is an IP address, which is never looked up; write a host name"
        elif not addresses:
            yield place, f"{name} has no address; write one, such as [10.0.5.20], or remove the line"


def _demo(settings: Settings) -> Iterator[Need]:
    demo, gateway = settings.demo, settings.gateway
    if demo is None:
        return
    address, port = demo.listen
    if address not in gateway.static_hosts.get(demo.name, ()):
        yield ("demo", "name"), f"cannot be found: add `{demo.name}: [{address}]` to gateway.static_hosts"
    if port not in gateway.ports:
        yield ("demo", "listen"), f"cannot be reached: add {port} to gateway.ports"
    ip = ipaddress.ip_address(address)
    if not any(ip in network for network in gateway.reachable):
        yield ("demo", "listen"), f"cannot be reached: add {ip}/{ip.max_prefixlen} to gateway.reachable"


def _state(settings: Settings) -> Iterator[Need]:
    state = settings.state
    wrong = next((path for path in (state, *state.parents) if path.exists() and not path.is_dir()), None)
    if wrong is not None:
        where = _whose(state)
        yield ("paths", "state"), f"{where}{wrong} is a file; the state needs a folder (made if missing)"


def _whose(state: Path) -> str:
    return f"{STATE_VARIABLE} is set to {state}, and " if os.environ.get(STATE_VARIABLE) else ""


def _retention(settings: Settings) -> Iterator[Need]:
    for key, message in contradictions(kept(settings.events.retention_days)):
        yield ("events", "retention_days", key), message


def _governors(settings: Settings) -> Iterator[Need]:
    alerts = settings.alerts
    if settings.audit.mail_to and (alerts.mail is None or not alerts.deliver):
        message = "nothing would be mailed: give alerts.mail the mail server, and set alerts.deliver to true"
        yield ("audit", "mail_to"), message


def _people(settings: Settings) -> Iterator[Need]:
    pages = settings.alerts.pages
    single = pages is not None and pages.single_sign_on
    for place, message in settings.identity.wrong(pages=pages is not None, single=single):
        yield ("identity", *place), message


def _proxy_sign_in(settings: Settings) -> Iterator[Need]:
    gateway, identity = settings.gateway, settings.identity
    if gateway.listen_tls is not None or (gateway.listen is not None and identity.allow_plain):
        return
    for index, one in enumerate(identity.networks):
        if one.proxy_sign_in is not ProxySignIn.NEVER:
            message = (
                "a name and a password would be read nowhere: give gateway.listen_tls an address, or set "
                "identity.allow_plain to true, which sends passwords over the school's network in the clear"
            )
            yield ("identity", "networks", index, "proxy_sign_in"), message


def _devices(settings: Settings) -> Iterator[Need]:
    identity = settings.identity
    for index, device in enumerate(identity.devices):
        place = ("identity", "devices", index)
        if (device.mac is None) == (device.lease_name is None):
            yield place, "a device is known by its mac or by its lease_name: give it one of the two"
        elif device.lease_name is not None and identity.leases is None:
            yield (
                (*place, "lease_name"),
                "no names are known: say in identity.leases where the DHCP leases are",
            )
    if identity.leases is not None and not identity.leases.file.is_absolute():
        yield ("identity", "leases", "file"), f"{identity.leases.file}: write the whole path, from / on"


def _is_number(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def floor_problems(blocklists: Path, catalogue: Catalogue) -> list[Problem]:
    """Return which statutory categories no list in the catalogue feeds."""
    fed = {entry.category for entry in catalogue.floor}
    return [
        Problem(
            str(blocklists / CATALOGUE_FILE), 1, 1, f"no statutory list in `floor:` feeds {name!r} (DFE-F2)"
        )
        for name in STATUTORY
        if name not in fed
    ]


def statutory_problems(policy: Policy, blocklists: Path) -> list[Problem]:
    """Return which statutory categories the policy does not know."""
    return [
        Problem(
            str(blocklists / CATEGORIES_FILE),
            1,
            1,
            f"the category {name!r} is missing: a statutory list feeds it, and it is never rated (DFE-F2)",
        )
        for name in STATUTORY
        if name not in policy.categories
    ]


def update_problems(configuration: Configuration, catalogue: Catalogue) -> list[Problem]:
    """Return which of the updates in the settings the catalogue does not know."""
    known = [feed.id for feed in catalogue.downloads]
    return [
        configuration.document.problem(("lists", "updates", index), unknown("download", name, known))
        for index, name in enumerate(configuration.settings.lists.updates)
        if name not in known
    ]


def cross_check(configuration: Configuration, policy: Policy | None) -> list[Problem]:
    """Return what is wrong between the settings and the rest; without a policy, as far as can be told."""
    settings = configuration.settings
    needs = needs_of(settings, policy) if policy is not None else _file_needs(settings)
    needs += _root_needs(settings.gateway.extra_roots)
    problems = implausible(settings, configuration.document)
    return problems + [configuration.document.problem(key, message) for key, message in needs]


def _root_needs(extra: Path | None) -> list[Need]:
    if extra is None:
        return []
    try:
        holds = b"-----BEGIN CERTIFICATE-----" in extra.read_bytes()
    except OSError as error:
        return [(("gateway", "extra_roots"), f"{extra} cannot be read: {error.strerror or error}")]
    return [] if holds else [(("gateway", "extra_roots"), f"{extra} holds no certificate in PEM form")]


def _file_needs(settings: Settings) -> list[Need]:
    # While a profile is broken there is no policy to ask; the names of the files say what there would be.
    folders = {entry.name: entry for entry in settings.paths.profiles.glob("*/") if entry.is_dir()}
    chosen = folders.get(settings.school.set)
    if chosen is None:
        return [(("school", "set"), unknown("set", settings.school.set, folders))] if folders else []
    others = {Path(name).stem for name in (SET_FILE, ROLES_FILE, ALERTS_FILE, INCIDENTS_FILE)}
    profiles = {file.stem for file in chosen.glob("*.yaml")} - others
    return _group_needs(settings, {name for name in profiles if not name.startswith("_")})


def _group_needs(settings: Settings, profiles: Collection[str]) -> list[Need]:
    identity = settings.identity
    named: list[tuple[Keys, str]] = [
        *((("networks", index, "group"), one.group) for index, one in enumerate(identity.networks)),
        *identity.groups_named(),
    ]
    return [
        (("identity", *place), unknown("group", group, profiles))
        for place, group in named
        if group not in profiles
    ]


def role_notes(chosen: ProfileSet) -> list[str]:
    """Return a sentence about the roles that nobody has: what only they may open cannot be granted."""
    nobody = [role.id for role in chosen.roles.values() if not (role.groups or role.people)]
    where = f"profiles/{chosen.id}/{ROLES_FILE}"
    return (
        [f"nobody has the roles {', '.join(nobody)} yet, which may grant overrides ({where})"]
        if nobody
        else []
    )


def needs_of(settings: Settings, policy: Policy) -> list[Need]:
    """Return what the settings need and the policy lacks: the settings' key, and what is wrong with it."""
    chosen = policy.sets.get(settings.school.set)
    if chosen is None:
        return [(("school", "set"), unknown("set", settings.school.set, policy.sets))]
    return _group_needs(settings, chosen.profiles) + alert_needs(settings.alerts, chosen.alerts)
