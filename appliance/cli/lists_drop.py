"""`appliance lists drop`: take an imported list out of force."""

from __future__ import annotations

import click

from appliance.cli.lists_common import compile_all, need_two, readable
from appliance.cli.lists_update import Where, means_of
from appliance.lists.update import Updater


@click.command("drop")
@click.argument("name", metavar="ID")
@click.pass_obj
def drop(where: Where, name: str) -> None:
    """Take the imported list ID out of force: what it alone names is then unlisted.

    It is kept, and `appliance lists rollback ID` brings it back. Statutory lists cannot be dropped; a list
    that ships with the gateway is taken out in blocklists/catalogue.yaml. With changes.approval: two it is
    proposed instead: `appliance changes propose --drop ID`.
    """
    with readable():
        need_two(where, "take a list out of force", f"--drop {name}")
        Updater(means_of(where)).drop(name, where.list_updates, lambda: compile_all(where))
        where.note("list-drop", name)
    click.echo(f"{name}: no longer in force; `appliance lists rollback {name}` brings it back", err=True)
