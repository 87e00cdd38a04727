"""How `appliance people` asks and answers: what it works with, tables for people, JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from appliance.cli.setup import Setup
from appliance.config.problems import unknown
from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.sessions import SCHOOL_ZONE, Sessions
from appliance.identity.stops import STEPS, Stop, Stops

_NARROW = 100


class People:
    """What the commands work with: the school's people, in the state folder of the configuration."""

    def __init__(self, setup: Setup) -> None:
        self.settings = setup.settings
        self.state = setup.state
        self.database = Database(self.state)
        self.database.prepare()
        self.trail = Trail(self.state)
        self.accounts = Accounts(self.database)
        self.sessions = Sessions(self.database)
        self.stops = Stops(self.database, Carried(self.trail, STEPS))
        self.now = time.time()
        self.by = setup.by

    def groups(self) -> list[str]:
        """Return the profiles of the school's set, by their files: they may be broken just now."""
        folder = self.settings.paths.profiles / self.settings.school.set
        names = (file.stem for file in folder.glob("*.yaml"))
        others = ("set", "roles", "alerts", "incidents")
        return sorted(name for name in names if name not in others and not name.startswith("_"))

    def check_group(self, group: str) -> None:
        """Raise a usage error where there is no such group."""
        if group not in self.groups():
            raise click.UsageError(unknown("group", group, self.groups()))

    def note(self, what: str, whom: str, **details: str) -> None:
        """Put what was done into the audit trail."""
        self.trail.add(what, whom, by=self.by, at=self.now, **details)


def moment(at: float | None) -> str:
    """Return a moment as the school's clock showed it, or an empty text."""
    return "" if at is None else f"{datetime.fromtimestamp(at, SCHOOL_ZONE):%Y-%m-%d %H:%M}"


def grid(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; nothing in it can steer a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(plain(str(cell)) for cell in row))
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, _NARROW)
    console.print(table)


def plain(text: str) -> str:
    """Return text that cannot steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def as_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, ensure_ascii=False))


def facts(account: Account, stop: Stop | None, signed_in: int) -> dict[str, Any]:
    """Return what is shown of one account; no hash is."""
    return {
        "name": account.name,
        "kind": account.kind.value,
        "group": account.group,
        "state": state(account, stop),
        "signs in with": _way(account),
        "must change": account.must_change,
        "changed": moment(account.changed),
        "expires": moment(account.expires),
        "signed in on": signed_in,
        **({"sponsor": account.sponsor, "purpose": account.purpose} if account.sponsor else {}),
    }


def _way(account: Account) -> str:
    if account.source:
        return f"the {account.source}"
    return "pictures" if account.pictures else "a password" if account.password else "nothing"


def state(account: Account, stop: Stop | None) -> str:
    """Return how an account stands, in a word or two."""
    if stop is not None:
        return stop.what.value if stop.until is None else f"{stop.what.value} until {moment(stop.until)}"
    if account.disabled:
        return "disabled"
    if not account.usable(time.time()):
        return "expired" if account.expires else "not yet"
    return "in use" if account.password or account.source else "no password"
