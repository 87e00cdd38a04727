"""`appliance lists diff` and `lists overlap`: what an update changed, and what lists have in common."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import click

from appliance.cli.lists_show import MAKE_ANEW, grid, plain
from appliance.lists.history import Change, HistoryError, change, floor_change, overlap
from appliance.lists.locked import FloorList, LockedFloor
from appliance.lists.paths import Paths
from appliance.lists.store import StoreError
from appliance.lists.table import TableError

FAILED = 2


class Where(Protocol):
    """What these verbs need of the settings, as `ctx.obj`."""

    @property
    def state(self) -> Path:
        """The folder of everything that is written."""

    @property
    def floor_max_age_hours(self) -> float:
        """Age at which the statutory lists are stale."""


as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for a program.")


@click.command("diff")
@click.argument("name")
@click.option("--most", default=20, show_default=True, help="Entries shown of each kind; all are counted.")
@as_json
@click.pass_obj
def diff(where: Where, name: str, most: int, *, as_json: bool) -> None:
    """Show what the last update of the list NAME added and removed; of a statutory list, numbers only."""
    paths = Paths(where.state)
    manifest = LockedFloor(paths, where.floor_max_age_hours).manifest
    floor = floor_change(manifest.lists if manifest else (), name)
    if floor:
        _show_floor(floor, as_json=as_json)
        return
    try:
        found = change(paths, name, most)
    except (HistoryError, StoreError) as error:
        click.echo(plain(str(error)), err=True)
        raise click.exceptions.Exit(FAILED) from error
    if as_json:
        click.echo(json.dumps(asdict(found), default=str))
    else:
        _show(found)


@click.command("overlap")
@click.option("--most", default=50, show_default=True, help="Pairs of lists shown, the largest first.")
@as_json
@click.pass_obj
def overlap_(where: Where, most: int, *, as_json: bool) -> None:
    """Show which lists have entries in common, and how many."""
    try:
        pairs = overlap(Paths(where.state).table, most)
    except TableError as error:
        click.echo(f"the compiled lists cannot be read: {plain(str(error))}; {MAKE_ANEW}", err=True)
        raise click.exceptions.Exit(FAILED) from error
    if as_json:
        click.echo(json.dumps({"pairs": [asdict(pair) for pair in pairs]}))
        return
    rows = (
        (*pair.lists, pair.common, _share(pair.common, pair.first), _share(pair.common, pair.second))
        for pair in pairs
    )
    grid(("list", "and list", "in both", "of the first", "of the second"), rows)


def _show(found: Change) -> None:
    click.echo(
        f"{found.list}: {found.added} added and {found.removed} removed "
        f"between {found.old:%Y-%m-%d %H:%M} and {found.new:%Y-%m-%d %H:%M}"
    )
    for mark, entries in (("+", found.examples_added), ("-", found.examples_removed)):
        for entry in entries:
            click.echo(f"{mark} {plain(entry)}")


def _show_floor(floor: FloorList, *, as_json: bool) -> None:
    if as_json:
        told = {"list": floor.id, "added": floor.added, "removed": floor.removed, "new": floor.changed_at}
        click.echo(json.dumps(told))
        return
    when = datetime.fromtimestamp(floor.changed_at, UTC)
    click.echo(
        f"{floor.id}: {floor.added} added and {floor.removed} removed on {when:%Y-%m-%d %H:%M}; "
        "its entries are never shown"
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""
