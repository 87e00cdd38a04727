"""What somebody types, as a wish: what is to be opened, for whom, from when until when.

What lives only here: which names exist. A grant for a person, a group or a room that nobody knows would open
nothing, or later something for somebody else, so each is refused here with the nearest known name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

import click

from appliance.assembly import Loaded
from appliance.cli.why import why
from appliance.config.problems import unknown
from appliance.identity.accounts import Account
from appliance.identity.names import key
from appliance.lists.suffixes import public_suffixes
from appliance.model.grant import Network, What, Whom
from appliance.model.url import UrlRefusedError, canonical_path, embedded_ipv4, parse_typed
from appliance.overrides.names import OverrideError, sentence, short
from appliance.overrides.times import moment
from appliance.overrides.written import Wish

_MINUTE = 60.0
MOST = 50
"""Addresses and names in one override: more is a policy, and belongs into a profile."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The options of `request` and `grant`, as they were typed."""

    addresses: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    reason: str = ""
    subject: str = ""
    starts: str = ""
    until: str = ""
    minutes: int = 0
    only_named: bool = False

    def __bool__(self) -> bool:
        return any((self.addresses, self.categories, self.groups, self.persons, self.networks, self.devices))


_OPTIONS = (
    click.option("--category", "categories", multiple=True, metavar="ID", help="All sites about this."),
    click.option("--for", "groups", multiple=True, metavar="PROFILE", help="For a group: ks2, ..."),
    click.option("--person", "persons", multiple=True, metavar="NAME", help="For an account, or a class's."),
    click.option(
        "--network", "networks", multiple=True, metavar="NAME", help="Only in this room or network."
    ),
    click.option("--device", "devices", multiple=True, metavar="NAME", help="Only on this device."),
    why("What it is needed for: a sentence.", "reason"),
    click.option("--subject", default="", help="The lesson: 'Year 5 history'."),
    click.option("--from", "starts", default="", metavar="TIME", help="10:00, 2026-11-23T10:00; else now."),
    click.option("--until", default="", metavar="TIME", help="The end, on the school's clock."),
    click.option("--minutes", type=click.IntRange(1), default=None, help="Or how long."),
    click.option("--only-named", is_flag=True, help="Nothing else comes with it that its pages need."),
)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a wish."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wish_of(typed: Typed, loaded: Loaded, accounts: Collection[Account], now: float) -> Wish:
    """Return what was typed as a wish; OverrideError or a usage error where something is wrong with it."""
    school = loaded.policy.sets[loaded.settings.school.set]
    what = What(
        *_addresses(typed.addresses),
        frozenset(_known("category", typed.categories, loaded.policy.categories)),
    )
    whom = Whom(
        frozenset(_persons(typed.persons, accounts)),
        frozenset(_known("profile", typed.groups, school.profiles)),
        tuple(_networks(typed.networks, loaded)),
        frozenset(_devices(typed.devices, loaded)),
    )
    if not what or not whom:
        raise click.UsageError(
            "say what is to be opened (a host, an address, or --category) and for whom (--for, --person, "
            "--network or --device)"
        )
    starts, ends = times(typed, school.zone, now)
    because, subject = sentence(typed.reason), short(typed.subject)
    return Wish(what, whom, because, subject, starts, ends, learns=not typed.only_named)


def times(typed: Typed, zone: ZoneInfo, now: float) -> tuple[float, float]:
    """Return from when until when; OverrideError or a usage error where that cannot be told."""
    if bool(typed.until) == bool(typed.minutes):
        raise click.UsageError("say how long: --until TIME or --minutes NUMBER")
    starts = moment(typed.starts, zone, now) if typed.starts else now
    ends = moment(typed.until, zone, now) if typed.until else starts + typed.minutes * _MINUTE
    if ends <= max(now, starts):
        raise OverrideError(
            "that time has passed already, or ends before it begins; give one that is to come"
        )
    return starts, ends


def _addresses(texts: Iterable[str]) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    hosts: set[str] = set()
    pages: set[tuple[str, str]] = set()
    for text in texts:
        try:
            url = parse_typed(text.strip().removeprefix("*."))
        except UrlRefusedError as error:
            raise OverrideError(
                f"{text!a} is {error}: give a host such as example.org, or an address"
            ) from None
        if url.ip is None and (url.host in public_suffixes() or "." not in url.host):
            raise OverrideError(f"{url.host} would cover everybody's sites below it; give one site")
        if url.path == "/" and not url.query:
            hosts.add(url.host)
        else:
            pages.add((url.host, canonical_path(url)))
    if len(hosts) + len(pages) > MOST:
        raise OverrideError(f"more than {MOST} addresses at once: that is a rule, and belongs into a profile")
    return frozenset(hosts), frozenset(pages)


def _known(kind: str, names: Iterable[str], known: Collection[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise OverrideError(unknown(kind, name, known))
    return list(names)


def _persons(names: Iterable[str], accounts: Collection[Account]) -> list[str]:
    by_key = {account.key: account.name for account in accounts}
    for name in names:
        if key(name) not in by_key:
            raise OverrideError(unknown("account", name, by_key.values()))
    return [by_key[key(name)] for name in names]


def _networks(texts: Iterable[str], loaded: Loaded) -> list[Network]:
    # A room has one network of each version of IP, under one name: all of them are meant.
    named: dict[str, list[Network]] = {}
    for network in loaded.settings.client_networks:
        named.setdefault(network.name, []).append(network.network)
    found: list[Network] = []
    for text in texts:
        try:
            found += named.get(text) or [ip_network(text)]
        except ValueError:
            raise OverrideError(unknown("network", text, named) + "; or such as 10.20.12.0/24") from None
    return found


def _devices(texts: Iterable[str], loaded: Loaded) -> list[str]:
    registered = loaded.settings.identity.registered
    named = {device.name for device in registered.values()}
    found = []
    for text in texts:
        plain = text.strip().lower()
        if text in named:
            found.append(text)
        elif plain in registered:
            found.append(registered[plain].name)
        else:
            try:
                found.append(str(embedded_ipv4(ip_address(plain))))
            except ValueError:
                raise OverrideError(unknown("device", text, named) + "; or its network address") from None
    return found
