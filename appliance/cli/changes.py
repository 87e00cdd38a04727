"""`appliance changes`: what is to change, what that would have meant, and who releases it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from appliance import assembly, changing, holding, releasing, trial
from appliance.changes.store import ChangeError, Entry
from appliance.cli import changes_show
from appliance.cli.changes_release import VERBS
from appliance.cli.setup import Setup
from appliance.cli.who import person, with_who
from appliance.cli.why import why
from appliance.events.errors import EventsError

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_number = click.argument("number", type=click.IntRange(1))


@click.group()
def changes() -> None:
    """Propose what is to change in the policy, release it as the second person, or go back.

    Edit the files in profiles/, blocklists/ or the settings, then `propose`. With changes.approval: two an
    edit changes nothing until somebody else has released it; with single it counts within a second, and
    every version of the policy is kept.
    """


for _verb in VERBS:
    changes.add_command(_verb)

_LISTS = (
    click.option("--drop", multiple=True, metavar="ID", help="Also take this imported list out of force."),
    click.option(
        "--rollback-list", multiple=True, metavar="ID", help="Also return this list to its last edition."
    ),
    click.option(
        "--accept-update", multiple=True, metavar="ID", help="Also take an update that was refused."
    ),
    click.option(
        "--import", "imported", type=click.Path(path_type=Path, exists=True), default=None, metavar="PATH",
        help="Also import this list, or collection; a copy is kept until it is released.",
    ),
    click.option("--category", "categories", multiple=True, metavar="NAME", help="What the import is about."),
    click.option("--use", type=click.Choice(["category", "block", "allow"]), default="category",
                 show_default=True, help="What the import is for."),
    click.option("--id", "list_id", default="", metavar="ID", help="How the import is called."),
)  # fmt: skip


def _about_lists(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_LISTS):
        command = option(command)
    return command


@changes.command()
@why("Why, in a sentence, for whoever releases it.", required=True)
@click.option("--allow", multiple=True, metavar="ADDRESS", help="Also open this site for the whole school.")
@click.option("--block", multiple=True, metavar="ADDRESS", help="Also close this one.")
@click.option("--remove", multiple=True, metavar="ADDRESS", help="Also take this entry of the school's back.")
@_about_lists
@click.option(
    "--days", type=click.IntRange(0, 365), help="Days that are judged again (default: the settings')."
)
@with_who
@click.pass_obj
def propose(
    setup: Setup,
    /,
    *,
    because: str,
    days: int | None,
    name: str,
    typed: bool,
    **wanted: Any,  # noqa: ANN401 - its options
) -> None:
    """Propose what was edited of profiles/, blocklists/ and the settings, and what the options name.

    The decisions of the last days are judged again, to show what would be newly open and newly closed.
    """
    settings = setup.settings
    by = person(setup, name, typed=typed)
    entries = _entries(setup, wanted)
    releasing.check_entries(settings, entries)
    trial.list_acts(entries)
    store = assembly.snapshots(settings)
    base, version = store.current(), store.keep().version
    parts = holding.proposed(setup.config, settings)
    impact: dict[str, Any] = {}
    with changing.tried_lists(settings, parts, entries) as lists:
        if lists is not None:
            entries = changing.named_editions(settings, entries, lists)
        copy = (lists.blocklists, lists.state) if lists is not None else None
        question = changing.Question(
            setup.config.resolve(),
            setup.state,
            base,
            version,
            entries,
            copy,
            parts.get(holding.SETTINGS, ("", ""))[1],
        )
        if base != version or entries or parts:
            impact = replayed(question, settings.changes.replay_days if days is None else days)
    made = releasing.changes(settings).propose(
        base, version, entries, reason=because, by=by, at=time.time(), impact=impact, parts=parts
    )
    changes_show.one(setup, made)
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
    found = releasing.changes(setup.settings).get(number)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        changes_show.one(setup, found)


@changes.command("list")
@click.option("--waiting", is_flag=True, help="Only those that are not decided, or in force for some only.")
@click.option("--versions", is_flag=True, help="Every version of the policy that is kept, instead.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="The newest so many."
)
@click.option(
    "--before", type=click.IntRange(1), default=None, metavar="NUMBER", help="The page before: older ones."
)
@_json
@click.pass_obj
def list_(
    setup: Setup, *, waiting: bool, versions: bool, limit: int, before: int | None, as_json: bool
) -> None:
    """Show the changes, the newest last, what somebody is to look at, and how many people decide."""
    if versions:
        changes_show.versions(setup, as_json=as_json)
        return
    found = releasing.changes(setup.settings).newest(limit, waiting=waiting, before=before or 0)
    changes_show.many(setup, found, full=len(found) == limit, as_json=as_json)


@changes.command()
@click.argument("version")
@why("Why (needed with changes.approval: two).")
@with_who
@click.pass_obj
def rollback(setup: Setup, *, version: str, because: str, name: str, typed: bool) -> None:
    """Put VERSION of the policy in force again; `changes list --versions` shows which are kept.

    The files in profiles/ stay as they are, and count again when they are next edited. With
    changes.approval: two this makes a proposal, which a second person releases.
    """
    settings = setup.settings
    by = person(setup, name, typed=typed)
    if not setup.approval_of_two:
        releasing.roll_back(settings, version, by)
        click.echo(f"{version} is in force within a second; profiles/ stays as it is", err=True)
        return
    store = assembly.snapshots(settings)
    store.open(version)
    base = store.current()
    question = changing.Question(setup.config.resolve(), setup.state, base, version, ())
    impact = replayed(question, settings.changes.replay_days)
    made = releasing.changes(settings).propose(
        base, version, (), reason=because, by=by, at=time.time(), impact=impact
    )
    click.echo(f"change {made.number} is proposed; a second person releases it", err=True)


def _entries(setup: Setup, wanted: dict[str, Any]) -> tuple[Entry, ...]:
    acts = (
        ("allow", wanted["allow"]), ("block", wanted["block"]), ("remove", wanted["remove"]),
        (trial.DROP, wanted["drop"]), (trial.ROLLBACK, wanted["rollback_list"]),
        (trial.ACCEPT, wanted["accept_update"]),
    )  # fmt: skip
    found = [Entry(act, address) for act, addresses in acts for address in addresses]
    path: Path | None = wanted["imported"]
    if path is None:
        if wanted["categories"] or wanted["list_id"] or wanted["use"] != "category":
            raise click.UsageError(
                "--category, --use and --id say what is imported: give --import PATH as well"
            )
        return tuple(found)
    if not setup.approval_of_two:
        raise ChangeError(
            "one person imports a list with `appliance lists import` (changes.approval: single)"
        )
    kept = trial.keep_import(setup.state, path, changing.import_wanted(setup.settings, path, wanted))
    return (*found, Entry(trial.IMPORT, kept))


def replayed(question: changing.Question, days: int) -> dict[str, Any]:
    """Judge the past again with a bar, or say why that cannot be."""
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
