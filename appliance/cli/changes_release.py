"""`appliance changes release | widen | return | refuse | seen | confirm`: what is decided about a change."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from appliance import assembly, holding, releasing
from appliance.changes.held_files import BLOCKLISTS
from appliance.changes.store import Proposal
from appliance.cli.setup import Setup
from appliance.cli.who import person, with_who
from appliance.cli.why import why
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.model.stage import Stage

_number = click.argument("number", type=click.IntRange(1))


@click.command()
@_number
@click.option(
    "--first", multiple=True, metavar="GROUP_OR_NETWORK",
    help="Only for this profile, class log-in or network at first; may be given several times.",
)  # fmt: skip
@click.option(
    "--until", default="", metavar="TIME", help="With --first: it returns then by itself; 2026-11-23T15:30."
)
@click.option("--stays", is_flag=True, help="It does not return by itself, however much is blocked.")
@with_who
@click.pass_obj
def release(
    setup: Setup, *, number: int, first: tuple[str, ...], until: str, stays: bool, name: str, typed: bool
) -> None:
    """Release change NUMBER: it is in force in every worker within a second.

    With changes.approval: two by somebody else than who proposed it, whom changes.approvers names. With
    --first everybody else stays with the policy from before, until `widen` or `return`.
    """
    settings = setup.settings
    by = person(setup, name, typed=typed)
    if until and not first:
        raise click.UsageError("--until says when a change for some returns: give --first as well")
    store, made = assembly.snapshots(settings), releasing.changes(settings)
    stage = releasing.stage_of(settings, made.get(number), first, _until(until)) if first else None

    def act(found: Proposal) -> None:
        if stage is None:
            releasing.put_in_force(settings, found)
        else:
            store.set_stage(stage)

    def current() -> dict[str, str]:
        return holding.in_force(settings, store)

    said = (releasing.said_of(stage) if stage else {}) | ({"stays": True} if stays else {})
    made.release(number, by=by, at=time.time(), current=current, act=act, stage=said)
    click.echo(f"change {number} is released{_for_whom(stage)}, and in force within a second", err=True)
    _after(made.get(number))


@click.command()
@_number
@with_who
@click.pass_obj
def widen(setup: Setup, *, number: int, name: str, typed: bool) -> None:
    """Put change NUMBER, which is in force for some, in force for everybody."""
    settings = setup.settings
    by = person(setup, name, typed=typed)
    releasing.changes(settings).widen(
        number, by=by, at=time.time(), act=lambda found: releasing.widen(settings, found)
    )
    click.echo(f"change {number} is in force for everybody within a second", err=True)


@click.command("return")
@_number
@why("Why, for whoever proposed it.", required=True)
@with_who
@click.pass_obj
def return_(setup: Setup, *, number: int, because: str, name: str, typed: bool) -> None:
    """Go back from change NUMBER to the policy from before; what it opened or closed by itself stays.

    Only while nothing was released after it.
    """
    settings = setup.settings
    by = person(setup, name, typed=typed)
    releasing.changes(settings).take_back(
        number, by=by, at=time.time(), reason=because, act=lambda found: releasing.take_back(settings, found)
    )
    click.echo(f"change {number} is taken back; the policy from before is in force within a second", err=True)


@click.command()
@_number
@why("Why not.", required=True)
@with_who
@click.pass_obj
def refuse(setup: Setup, *, number: int, because: str, name: str, typed: bool) -> None:
    """Refuse change NUMBER, or take your own back. The files that were edited stay as they are."""
    by = person(setup, name, typed=typed)
    releasing.changes(setup.settings).refuse(number, by=by, at=time.time(), reason=because)
    click.echo(f"change {number} is refused; the files are as they were edited", err=True)


@click.command()
@_number
@with_who
@click.pass_obj
def seen(setup: Setup, *, number: int, name: str, typed: bool) -> None:
    """Say that you have looked at notice NUMBER: a site that somebody closed alone, a return."""
    by = person(setup, name, typed=typed)
    releasing.notices(setup.settings).seen(number, by=by, at=time.time())
    click.echo(f"notice {number}: looked at by {by}", err=True)


@click.command()
@click.argument("account")
@with_who
@click.pass_obj
def confirm(setup: Setup, *, account: str, name: str, typed: bool) -> None:
    """Say that ACCOUNT, whose password somebody else has set, is its owner's again: ask them yourself first.

    Until then, or for seven days, it neither proposes nor decides. Another approver says so than whoever has
    set the password.
    """
    by = person(setup, name, typed=typed)
    releasing.doubts(setup.settings).confirm(account, by=by, at=time.time())
    click.echo(f"{account}: counts for changes again, says {by}", err=True)


VERBS = (release, widen, return_, refuse, seen, confirm)


def _until(text: str) -> float | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is not a time; write it as 2026-11-23T15:30") from None
    moment = (at if at.tzinfo else at.replace(tzinfo=SCHOOL_ZONE)).astimezone(UTC).timestamp()
    if moment <= time.time():
        raise click.UsageError(f"{text} has passed already; give a time that is to come")
    return moment


def _for_whom(stage: Stage | None) -> str:
    return f" for {stage.shown} first" if stage else ""


def _after(found: Proposal) -> None:
    if "settings" in found.parts:
        click.echo("the settings count from the next `systemctl reload appliance` (or restart) on", err=True)
    if BLOCKLISTS in found.parts:
        click.echo("the lists that ship are those of this change now; imported lists stay", err=True)
