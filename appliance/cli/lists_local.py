"""`appliance lists add` and `lists remove`: the school's own decisions, and what is really in force then.

What lives only here: the answer to "does it work now?". A decision is written, and then the journey of a
request is asked for each profile, because a statutory list, illegal material, a help line or an older and
more exact local entry still wins.
"""

from __future__ import annotations

import getpass
import os
import time
from datetime import UTC, datetime
from typing import Protocol

import click

from appliance import assembly, releasing
from appliance.changes.notices import EMERGENCY
from appliance.changes.store import ChangeError
from appliance.cli import lists_show as show
from appliance.cli.lists_common import Where, opened, readable
from appliance.cli.who import Asked, proved, with_who
from appliance.cli.why import why
from appliance.config.problems import ProblemsError
from appliance.filtering import Filtering
from appliance.lists.entries import key_of
from appliance.lists.lists import Lists
from appliance.lists.local import LOCAL, LocalFile, LocalRefusedError
from appliance.lists.paths import Paths
from appliance.model.decision import Decision
from appliance.model.known import Use
from appliance.model.person import Person
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError, parse_typed


class WhereDecided(Where, Asked, Protocol):
    """What these verbs need of the settings beside what all do, as `ctx.obj`."""

    @property
    def loaded(self) -> assembly.Loaded:
        """The configuration with its policy; ProblemsError if either is wrong."""

    @property
    def by(self) -> str:
        """Who calls the command."""


@click.command("add")
@click.argument("use", type=click.Choice(["block", "allow"]))
@click.argument("address")
@why("Why, for the next person and for governors.", required=True)
@click.option("--who", default=None, metavar="NAME", help="Who decides. Default: the signed-in user.")
@with_who
@click.pass_obj
def add(
    where: WhereDecided, *, use: str, address: str, because: str, who: str | None, name: str, typed: bool
) -> None:
    """Block or allow ADDRESS for the whole school; in force within a second.

    ADDRESS is a host, which covers all names below it (example.org is *.example.org as well), or a URL, which
    covers what lies below its path. Says what is really in force then: a statutory list, illegal material
    and help lines stay as they are, and of two local entries the more exact one wins, else the block.

    With changes.approval: two one person may still block, in an emergency: the others are told, and it stays
    in `appliance changes list` until one of them has looked at it. --as NAME proves who it was.
    """
    by = proved(where, name, typed=typed) if name else ""
    with readable():
        if where.approval_of_two and use == "allow":
            raise LocalRefusedError(
                "two people open a site (changes.approval: two): "
                f"`appliance changes propose --allow {address} --because ...`"
            )
        _refuse(where, address, Use(use))
        local = LocalFile(Paths(where.state).local)
        decider = by or who or _user()
        entry = local.add(Use(use), address, because=because, who=decider, at=datetime.now(UTC))
        where.note(f"local-{use}", entry, reason=because, named=by or who)
        if where.approval_of_two:
            _tell_others(where, entry, because, by or where.by)
    for line in _in_force(where, entry, Use(use)):
        click.echo(show.plain(line, keep="\n"), err=True)


@click.command("remove")
@click.argument("address")
@why("Why it is taken back.")
@click.option("--who", default=None, metavar="NAME", help="Who decides. Default: the signed-in user.")
@click.pass_obj
def remove(where: WhereDecided, address: str, because: str, who: str | None) -> None:
    """Take back what `add` decided on exactly this ADDRESS."""
    with readable():
        if where.approval_of_two:
            raise LocalRefusedError(
                "two people take an entry back (changes.approval: two): "
                f"`appliance changes propose --remove {address} --because ...`"
            )
        local = LocalFile(Paths(where.state).local)
        found = local.remove(address, because=because, who=who or _user(), at=datetime.now(UTC))
        if not found:
            raise LocalRefusedError(
                "there is no local decision on exactly this address; `appliance lists lookup` shows which "
                "entries name it"
            )
        where.note("local-remove", address, reason=because, was=", ".join(found), named=who)
    click.echo(f"{show.plain(address)}: no longer {' and '.join(found)}", err=True)


def _tell_others(where: WhereDecided, entry: str, because: str, by: str) -> None:
    # It is closed already: that others cannot be told must not look as if it were not.
    words = f"blocked {entry} for the whole school: {because}"
    try:
        number = releasing.notices(where.settings).add(EMERGENCY, words, by=by, at=time.time())
    except ChangeError as error:
        click.echo(f"the block counts, but nobody could be told: {error}", err=True)
    else:
        click.echo(f"the other approvers are told; one of them: `appliance changes seen {number}`", err=True)


def _in_force(where: WhereDecided, entry: str, use: Use) -> list[str]:
    try:
        url = parse_typed(entry if "." in entry else f"https://{entry}/")
    except UrlRefusedError:
        return [f"{entry}: {use} from now on"]  # a network: no single address stands for it
    lists = opened(where)
    if lists.fault:
        return [f"{entry}: {use}, from the gateway's first start on (nothing is compiled yet)"]
    try:
        others = _others(where.loaded, lists, url, use)
    except ProblemsError:
        return [
            f"{entry}: {use} from now on",
            "  (while the profiles are broken nobody can say what else decides; see `appliance check`)",
        ]
    if not others:
        return [f"{entry}: {use} from now on", *_exceptions(where, entry, use)]
    verb = "blocked" if use is Use.BLOCK else "allowed"
    return [f"{entry}: the decision is kept, but this address is NOT {verb}:", *others]


def _exceptions(where: Where, entry: str, use: Use) -> list[str]:
    """Return the local entries below this one that say the opposite, and so stay as they are."""
    key = key_of(entry)
    matches = LocalFile(Paths(where.state).local).read().matches
    other = Use.ALLOW if use is Use.BLOCK else Use.BLOCK
    below = [
        match.entry
        for (kind, one), match in matches.items()
        if kind == other and one.startswith(key) and one != key
    ]
    return [f"  but not {match}: {other} by an older, more exact entry" for match in below]


def _others(loaded: assembly.Loaded, lists: Lists, url: Url, use: Use) -> list[str]:
    """Return, for whom the decision does not do what it says, what is decided instead and why."""
    journey: Filtering = assembly.filtering(loaded.settings, loaded.policy, lists)
    profiles = loaded.policy.sets[loaded.settings.school.set].profiles
    told: dict[str, list[str]] = {}
    for name in profiles:
        decision = journey.judge(Request(url), Person(name, "command line")).decision
        if decision.blocked is not (use is Use.BLOCK):
            told.setdefault(_why(decision), []).append(name)
    everybody = len(profiles)
    return [
        f"  {'everybody' if len(names) == everybody else ', '.join(names)}: {why}"
        for why, names in told.items()
    ]


def _why(decision: Decision) -> str:
    text = f"{decision.action} ({decision.reason}): {decision.because}"
    if decision.list == LOCAL:
        return f"{text}\n    an older entry; take it back with: appliance lists remove {decision.entry}"
    return f"{text}\n    by the list {decision.list}" if decision.list else text


def _refuse(where: Where, address: str, use: Use) -> None:
    try:
        known = opened(where).lookup(parse_typed(address))
    except UrlRefusedError:
        return  # no address of a site; whether it can be an entry all the same is told by `add`
    if known.floor.hit:
        # Not even written down: the file of local decisions may be read, and the statutory lists may not.
        raise LocalRefusedError(
            "a statutory list names this address: it is closed, and no local entry opens it"
        )
    line = next((match.list for match in known.matches if match.use is Use.HELP), "")
    if line and use is Use.BLOCK:
        raise LocalRefusedError(f"this is a help line ({line}); help lines stay open")


def _user() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()
