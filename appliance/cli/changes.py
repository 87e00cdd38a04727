"""`appliance changes`: what is to change, what that would have meant, and who releases it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from appliance import assembly, changing
from appliance.changes.difference import difference
from appliance.changes.impact import in_words
from appliance.changes.store import ChangeError, Entry, Proposal
from appliance.cli.lists_show import grid, plain
from appliance.cli.setup import Setup
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.identity.database import Database
from appliance.identity.passwords import Passwords
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.identity.signing_in import SignIn
from appliance.model.person import Kind
from appliance.model.secret import Secret

_who = click.option(
    "--as", "name", default="", metavar="NAME", help="Your account (with changes.approval: two)."
)
_typed = click.option("--stdin", "typed", is_flag=True, help="Read the password from standard input.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_number = click.argument("number", type=click.IntRange(1))


@click.group()
def changes() -> None:
    """Propose what is to change in the policy, release it as the second person, or go back.

    Edit the files in profiles/, then `propose`. With changes.approval: two an edit changes nothing until
    somebody else has released it; with single it counts within a second, and every version is kept.
    """


@changes.command()
@click.option("--because", required=True, metavar="TEXT", help="Why, in a sentence, for whoever releases it.")
@click.option("--allow", multiple=True, metavar="ADDRESS", help="Also open this site for the whole school.")
@click.option("--block", multiple=True, metavar="ADDRESS", help="Also close this one.")
@click.option("--remove", multiple=True, metavar="ADDRESS", help="Also take this entry of the school's back.")
@click.option(
    "--days", type=click.IntRange(0, 365), help="Days that are judged again (default: the settings')."
)
@_who
@_typed
@click.pass_obj
def propose(
    setup: Setup,
    *,
    because: str,
    allow: tuple[str, ...],
    block: tuple[str, ...],
    remove: tuple[str, ...],
    days: int | None,
    name: str,
    typed: bool,
) -> None:
    """Propose the edits of profiles/ as they are now, and entries of the school's own, for a release.

    The decisions of the last days are judged again, to show what would be newly open and newly closed.
    """
    settings = setup.settings
    by = _person(setup, name, typed=typed)
    entries = tuple(
        Entry(act, address)
        for act, addresses in (("allow", allow), ("block", block), ("remove", remove))
        for address in addresses
    )
    changing.check_entries(settings, entries)
    store = assembly.snapshots(settings)
    base = store.current()
    version = store.keep().version
    question = changing.Question(setup.config.resolve(), setup.state, base, version, entries)
    impact = (
        {}
        if base == version and not entries
        else _replay(question, settings.changes.replay_days if days is None else days)
    )
    made = changing.changes(settings).propose(
        base, version, entries, reason=because, by=by, at=time.time(), impact=impact
    )
    _show(setup, made)
    click.echo(
        f"change {made.number} is proposed; it is released by `appliance changes release {made.number}`",
        err=True,
    )


@changes.command()
@_number
@_json
@click.pass_obj
def show(setup: Setup, *, number: int, as_json: bool) -> None:
    """Show one change: what differs, why, and what it would have meant."""
    found = changing.changes(setup.settings).get(number)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _show(setup, found)


@changes.command("list")
@click.option("--waiting", is_flag=True, help="Only those that nobody has decided yet.")
@click.option("--versions", is_flag=True, help="Every version of the policy that is kept, instead.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@_json
@click.pass_obj
def list_(setup: Setup, *, waiting: bool, versions: bool, limit: int, as_json: bool) -> None:
    """Show the changes, the newest last, and whether one or two people make them."""
    if versions:
        _versions(setup, as_json=as_json)
        return
    found = changing.changes(setup.settings).newest(limit, waiting=waiting)
    if as_json:
        for each in found:
            click.echo(json.dumps(asdict(each)))
        return
    heads = ("change", "state", "proposed", "by", "decided by", "why")
    rows = ((str(p.number), p.state, _moment(p.at), p.by, p.decided_by, p.reason) for p in found)
    grid(heads, (tuple(map(plain, row)) for row in rows))
    click.echo(f"changes.approval: {setup.settings.changes.approval}", err=True)


@changes.command()
@_number
@_who
@_typed
@click.pass_obj
def release(setup: Setup, *, number: int, name: str, typed: bool) -> None:
    """Release change NUMBER: it is in force in every worker within a second.

    With changes.approval: two by somebody else than who proposed it, whom changes.approvers names.
    """
    settings = setup.settings
    by = _person(setup, name, typed=typed)
    current = assembly.snapshots(settings).current()
    changing.changes(settings).release(
        number, by=by, at=time.time(), current=current, act=lambda each: changing.put_in_force(settings, each)
    )
    click.echo(f"change {number} is released, and in force within a second", err=True)


@changes.command()
@_number
@click.option("--because", required=True, metavar="TEXT", help="Why not.")
@_who
@_typed
@click.pass_obj
def refuse(setup: Setup, *, number: int, because: str, name: str, typed: bool) -> None:
    """Refuse change NUMBER, or take your own back. The files in profiles/ stay as they are."""
    by = _person(setup, name, typed=typed)
    changing.changes(setup.settings).refuse(number, by=by, at=time.time(), reason=because)
    click.echo(f"change {number} is refused; profiles/ is as it was edited", err=True)


@changes.command()
@click.argument("version")
@click.option("--because", default="", metavar="TEXT", help="Why (needed with changes.approval: two).")
@_who
@_typed
@click.pass_obj
def rollback(setup: Setup, *, version: str, because: str, name: str, typed: bool) -> None:
    """Put VERSION of the policy in force again; `changes list --versions` shows which are kept.

    The files in profiles/ stay as they are, and count again when they are next edited. With
    changes.approval: two this makes a proposal, which a second person releases.
    """
    settings = setup.settings
    by = _person(setup, name, typed=typed)
    if not setup.approval_of_two:
        changing.roll_back(settings, version, by)
        click.echo(f"{version} is in force within a second; profiles/ stays as it is", err=True)
        return
    store = assembly.snapshots(settings)
    store.open(version)
    base = store.current()
    question = changing.Question(setup.config.resolve(), setup.state, base, version, ())
    made = changing.changes(settings).propose(
        base,
        version,
        (),
        reason=because,
        by=by,
        at=time.time(),
        impact=_replay(question, settings.changes.replay_days),
    )
    click.echo(f"change {made.number} is proposed; a second person releases it", err=True)


def _person(setup: Setup, name: str, *, typed: bool) -> str:
    """Return who acts: with two people each shows their own password; else whoever calls the command."""
    if not setup.approval_of_two:
        return name or setup.by
    if not name:
        raise click.UsageError("two people make a change: say who you are, --as NAME, and give your password")
    text = sys.stdin.readline().rstrip("\n") if typed else click.prompt("Password", hide_input=True, err=True)
    database, trail = Database(setup.state), Trail(setup.state)
    sign_in = SignIn(database, trail, setup.settings.identity.rules, Passwords())
    account = sign_in.known(name, Secret(text), "command line", time.time())
    if account.kind is not Kind.STAFF:
        raise ChangeError(f"{account.name} is no account of staff: changes are made by staff")
    return account.name


def _replay(question: changing.Question, days: int) -> dict[str, Any]:
    if not days or not question.base:
        return {}
    try:
        with _progress() as told:
            return changing.replay(question, days, told)
    except EventsError as error:
        click.echo(f"note: no past decisions were judged again: {error}", err=True)
        return {}


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    bars: list[Any] = []

    def told(done: int, whole: int) -> None:
        if not bars:
            bars.append(click.progressbar(length=whole, label="Judging the past again", file=sys.stderr))
            bars[0].__enter__()
        bars[0].update(done - bars[0].pos)

    try:
        yield told
    finally:
        for bar in bars:
            bar.__exit__(None, None, None)


def _show(setup: Setup, found: Proposal) -> None:
    store = assembly.snapshots(setup.settings)
    lines = [
        f"change {found.number}: {found.state}",
        f"  proposed by {found.by}, {_moment(found.at)}: {found.reason}",
        f"  policy {found.base} -> {found.version}",
        *(f"  {entry.act} {entry.address}" for entry in found.entries),
    ]
    if found.decided_at is not None:
        lines.append(
            f"  {found.state} by {found.decided_by}, {_moment(found.decided_at)} {found.words}".rstrip()
        )
    elif found.base != store.current():
        lines.append(f"  stale: {store.current()} is in force by now; propose it again")
    lines += [f"  {text}" for text in in_words(found.impact)]
    lines += difference(store.files(found.base), store.files(found.version))
    for line in lines:
        click.echo(plain(line))


def _versions(setup: Setup, *, as_json: bool) -> None:
    store = assembly.snapshots(setup.settings)
    current = store.current()
    rows = [(name, _moment(at), "in force" if name == current else "") for name, at in store.kept()]
    if as_json:
        click.echo(
            json.dumps([{"version": name, "kept": at, "in_force": bool(now)} for name, at, now in rows])
        )
        return
    grid(("version", "kept since", ""), rows)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, SCHOOL_ZONE):%Y-%m-%d %H:%M}"
