"""`appliance lists`: take lists in, look them up, and open or close a site for the whole school.

What lives only here: the group of these verbs, and those that look without changing anything.
"""

from __future__ import annotations

import click

from appliance.cli import lists_show as show
from appliance.cli.lists_common import FAILED, FOUND, Where, as_json, low_memory, opened, readable
from appliance.cli.lists_drop import drop
from appliance.cli.lists_history import diff, overlap_
from appliance.cli.lists_import import import_
from appliance.cli.lists_local import add, remove
from appliance.cli.lists_update import rollback, update
from appliance.config.problems import unknown
from appliance.lists.compiler import ensure_compiled
from appliance.lists.ledger import Ledger
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths
from appliance.model.known import FloorState
from appliance.model.url import Url, UrlRefusedError, parse_typed


@click.group("lists")
def lists() -> None:
    """Lists of sites: import, update, look up, open or close a site.

    Exit status: 0 done or answered, 1 something is wrong with the lists (status), 2 could not be
    done or read.
    """


@lists.command("compile")
@low_memory
@as_json
@click.pass_obj
def compile_(where: Where, *, low_memory: bool, as_json: bool) -> None:
    """Compile what is new or changed in blocklists/, and do nothing where all is current.

    A running gateway takes it up within a second. Import, drop and update compile by themselves.
    """
    with readable():
        done = ensure_compiled(where.blocklists, where.state, low_memory=low_memory)
        show.compiled(done, as_json=as_json)


@lists.command("lookup")
@click.argument("address")
@as_json
@click.pass_obj
def lookup(where: Where, address: str, *, as_json: bool) -> None:
    """Say which lists name ADDRESS (a host or a URL), by which entry, in which edition, since when."""
    url = _parsed(address)
    opened = _compiled(where)
    show.found(url, opened.lookup(url), opened.status(), Paths(where.state), as_json=as_json)


@lists.command("status")
@click.option("--problems", "list_id", metavar="ID", help="Show a list's lines that are not used, and why.")
@as_json
@click.pass_obj
def status(where: Where, list_id: str | None, *, as_json: bool) -> None:
    """Show every list: what it is about, its size, edition and age, how its updates went, and the floor."""
    if list_id:
        show.problems(_problems(where, list_id), as_json=as_json)
        return
    known, paths = opened(where).status(), Paths(where.state)
    updates = Ledger(paths).all()
    show.status(known, updates, paths, as_json=as_json)
    if any(record.problem for record in updates):
        raise click.exceptions.Exit(FOUND)
    if known.fault or known.warning or known.local_broken or known.floor.state is not FloorState.OK:
        raise click.exceptions.Exit(FOUND)


for _verb in (import_, update, rollback, drop, diff, overlap_, add, remove):
    lists.add_command(_verb)


def _problems(where: Where, list_id: str) -> list[str]:
    ids = [item.id for item in opened(where).status().lists]
    if list_id not in ids:
        click.echo(unknown("list", show.plain(list_id), ids), err=True)
        raise click.exceptions.Exit(FAILED)
    paths = Paths(where.state)
    for file in (paths.imported / list_id / "problems.txt", paths.problems / f"{list_id}.txt"):
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def _compiled(where: Where) -> Lists:
    """Open the lists for a look-up; "no list names it" is no answer while there are no lists."""
    found = opened(where)
    if found.fault:
        click.echo(f"{found.fault}; {show.MAKE_ANEW}", err=True)
        raise click.exceptions.Exit(FAILED)
    return found


def _parsed(address: str) -> Url:
    try:
        return parse_typed(address)
    except UrlRefusedError as error:
        click.echo(f"{show.plain(address)}: {error}", err=True)
        raise click.exceptions.Exit(FAILED) from error
