"""`appliance lists update` and `lists rollback`: bring lists up to date, or go back.

What lives only here: these two verbs, and the progress they show: a bar on a terminal, plain lines
elsewhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from appliance.cli.lists_common import FOUND, compile_all, need_two, readable
from appliance.cli.lists_common import Where as WhereLists
from appliance.cli.lists_show import plain
from appliance.lists.update import Came, Means, Outcome, Updater


class Where(WhereLists, Protocol):
    """What these verbs need of the settings beside what all do, as `ctx.obj`."""

    @property
    def list_updates(self) -> tuple[str, ...]:
        """The downloads that are kept up to date."""

    @property
    def own_domains(self) -> tuple[str, ...]:
        """The school's own sites."""

    @property
    def update_memory_megabytes(self) -> int:
        """How much memory the build of an update may use."""


@click.command("update")
@click.argument("feeds", nargs=-1, metavar="[ID]...")
@click.option("--due", is_flag=True, help="Only what is to be fetched again by now (for the timer).")
@click.option(
    "--accept",
    is_flag=True,
    help="Take data although its size has changed too much, or it was rolled back. Look at it first.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for a program.")
@click.pass_obj
def update(where: Where, feeds: tuple[str, ...], *, due: bool, accept: bool, as_json: bool) -> None:
    """Fetch lists anew, check them, and put them in force; what fails leaves the old in force.

    Without ID: the downloads that the settings name (lists.updates), and every statutory list. With
    changes.approval: two, --accept is proposed instead: `appliance changes propose --accept-update ID`.
    Exit status: 0 all is current, 1 an update failed, 2 it could not be begun.
    """
    with readable():
        if accept:
            named = " ".join(f"--accept-update {name}" for name in feeds)
            need_two(where, "take what was refused", named or "--accept-update ID")
        updater = Updater(means_of(where))
        names = feeds or (updater.due(where.list_updates) if due else updater.regular(where.list_updates))
        outcomes = [_update(updater, name, accept=accept, quiet=as_json) for name in names]
        for outcome in outcomes:
            if outcome.came is not Came.SAME:
                where.note("list-update", outcome.feed, came=outcome.came.value, words=outcome.words)
    if as_json:
        click.echo(json.dumps({"updates": [asdict(outcome) for outcome in outcomes]}))
    elif not names and not due:
        click.echo("nothing to update: lists.updates is empty, and no statutory list is supplied", err=True)
    if any(outcome.came is Came.FAILED for outcome in outcomes):
        raise click.exceptions.Exit(FOUND)


@click.command("rollback")
@click.argument("name", metavar="ID")
@click.pass_obj
def rollback(where: Where, name: str) -> None:
    """Return the list ID, or all that the download ID changed last, to the edition before.

    Brings back a list that was dropped as well. What was in force until now is not taken again by `update`,
    unless with --accept; a second rollback returns to it. With changes.approval: two it is proposed instead:
    `appliance changes propose --rollback-list ID`.
    """
    with readable():
        need_two(where, "go back to an older list", f"--rollback-list {name}")
        back = Updater(means_of(where)).roll_back(name, lambda: compile_all(where))
        where.note("list-rollback", name, lists=", ".join(back))
    click.echo(f"{', '.join(back)}: the edition before is in force again")


def _update(updater: Updater, name: str, *, accept: bool, quiet: bool) -> Outcome:
    with _progress(name, quiet=quiet) as told:
        outcome = updater.update(name, accept=accept, progress=told)
    failed = outcome.came is Came.FAILED
    if failed or not quiet:
        click.echo(f"{name}: {outcome.came}: {plain(outcome.words)}", err=failed)
    return outcome


def means_of(where: Where) -> Means:
    """Return what an update works with."""
    return Means(where.blocklists, where.state, where.own_domains, where.update_memory_megabytes)


@contextmanager
def _progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and the plain label elsewhere."""
    console = Console(stderr=True)
    if quiet or not sys.stderr.isatty():
        if not quiet:
            click.echo(f"Fetching {name} ...", err=True)
        yield lambda _done, _all: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(f"Fetching {name}", total=None)
        yield lambda done, whole: bars.update(bar, completed=done, total=whole or None)
