"""`appliance lists`: take lists in, look them up, and open or close a site for the whole school.

What lives only here: the verbs of the lists and their exit statuses. 0: done, or answered (also
when the answer is that no list names the address); 1: `status` found that the lists cannot be
relied upon; 2: it could not be done or read.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import click

from appliance.cli import lists_show as show
from appliance.cli.lists_history import diff, overlap_
from appliance.cli.lists_update import rollback, update
from appliance.config.problems import ProblemsError, unknown
from appliance.lists.catalogue import load_catalogue, load_categories
from appliance.lists.compiler import Compiled, CompileError, ensure_compiled
from appliance.lists.formats import Format
from appliance.lists.importer import (
    Imported,
    ImportRefusedError,
    Wanted,
    import_list,
    import_tree,
    list_id_of,
    survey_of,
)
from appliance.lists.ledger import Ledger
from appliance.lists.lists import Lists
from appliance.lists.local import LocalFile, LocalRefusedError
from appliance.lists.paths import Paths
from appliance.lists.tree import Survey
from appliance.model.known import FloorState, Use
from appliance.model.url import Url, UrlRefusedError, parse_typed

DONE, FOUND, FAILED = 0, 1, 2


class Where(Protocol):
    """What these verbs need of the settings, as `ctx.obj`."""

    @property
    def state(self) -> Path:
        """The folder of everything that is written."""

    @property
    def blocklists(self) -> Path:
        """The folder of the catalogue."""

    @property
    def floor_max_age_hours(self) -> float:
        """Age at which the statutory lists are stale."""


low_memory = click.option(
    "--low-memory", is_flag=True, help="Compile in small parts: on a machine with 1 GB; takes longer."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for a program.")


@click.group("lists")
def lists() -> None:
    """Lists of sites: import, look up, open or close a site.

    Exit status: 0 done or answered, 1 something is wrong with the lists (status), 2 could not be
    done or read.
    """


@lists.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--category", "-c", "categories", multiple=True, help="What the sites on the list are about.")
@click.option("--id", "list_id", help="How the list is called; made from the file's name by default.")
@click.option("--title", help="The list's title; its id by default.")
@click.option(
    "--use", type=click.Choice(["category", "block", "allow"]), default="category", show_default=True
)
@click.option(
    "--format", "chosen", type=click.Choice([f.value for f in Format]), default="auto", show_default=True
)
@click.option("--means-suffixes", is_flag=True, help="Take lines such as blogspot.com at their word.")
@click.option("--column", default="", help="Of a csv file: the name or number of the column with addresses.")
@low_memory
@as_json
@click.pass_obj
def import_(
    where: Where,
    path: Path,
    categories: tuple[str, ...],
    list_id: str | None,
    title: str | None,
    use: str,
    chosen: str,
    *,
    means_suffixes: bool,
    column: str,
    low_memory: bool,
    as_json: bool,
) -> None:
    """Import a list (a file, an archive or a folder), or a whole collection such as UT1.

    Without --category, PATH must be a collection whose folders the catalogue knows.
    """
    with _readable():
        found = survey_of(path)
        if found.folders and not categories and use == "category":
            done = _import_collection(where, path, found, low_memory=low_memory)
        else:
            _check(where, categories, use)
            name = list_id or list_id_of(path)
            _check_id(name)
            wanted = Wanted(name, title or name, categories, use, Format(chosen), means_suffixes, column)
            done = _import_one(where, path, wanted, low_memory=low_memory)
    show.imported(done, Paths(where.state), as_json=as_json)


@lists.command("compile")
@low_memory
@as_json
@click.pass_obj
def compile_(where: Where, *, low_memory: bool, as_json: bool) -> None:
    """Compile what is new or changed; do nothing where all is current."""
    with _readable():
        done = ensure_compiled(where.blocklists, where.state, low_memory=low_memory)
        show.compiled(done, as_json=as_json)


@lists.command("lookup")
@click.argument("address")
@as_json
@click.pass_obj
def lookup(where: Where, address: str, *, as_json: bool) -> None:
    """Say which lists name ADDRESS (a host or a URL), by which entry, in which edition, since when."""
    url = _parsed(address)
    opened = _opened(where)
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
    known, paths = _opened(where).status(), Paths(where.state)
    updates = Ledger(paths).all()
    show.status(known, updates, paths, as_json=as_json)
    if any(record.problem for record in updates):
        raise click.exceptions.Exit(FOUND)
    if known.fault or known.warning or known.local_broken or known.floor.state is not FloorState.OK:
        raise click.exceptions.Exit(FOUND)


@lists.command("add")
@click.argument("use", type=click.Choice(["block", "allow"]))
@click.argument("address")
@click.option("--because", required=True, help="Why, for the next person and for the governors.")
@click.option("--who", default=None, help="Who decides; the signed-in user by default.")
@click.pass_obj
def add(where: Where, use: str, address: str, because: str, who: str | None) -> None:
    """Block or allow a host or URL for the whole school; in force within a second."""
    with _readable():
        if use == "block":
            _refuse_help(where, address)
        local = LocalFile(Paths(where.state).local)
        entry = local.add(Use(use), address, because=because, who=who or _user(), at=datetime.now(UTC))
    click.echo(f"{entry}: {use} from now on", err=True)


@lists.command("remove")
@click.argument("address")
@click.option("--because", default="", help="Why it is taken back.")
@click.option("--who", default=None, help="Who decides; the signed-in user by default.")
@click.pass_obj
def remove(where: Where, address: str, because: str, who: str | None) -> None:
    """Take back what `add` decided on exactly this address."""
    with _readable():
        local = LocalFile(Paths(where.state).local)
        found = local.remove(address, because=because, who=who or _user(), at=datetime.now(UTC))
        if not found:
            raise LocalRefusedError("there is no local decision on exactly this address")
    click.echo(f"{show.plain(address)}: no longer {' and '.join(found)}", err=True)


for _verb in (update, rollback, diff, overlap_):
    lists.add_command(_verb)


def _problems(where: Where, list_id: str) -> list[str]:
    ids = [item.id for item in _opened(where).status().lists]
    if list_id not in ids:
        click.echo(unknown("list", show.plain(list_id), ids), err=True)
        raise click.exceptions.Exit(FAILED)
    paths = Paths(where.state)
    for file in (paths.imported / list_id / "problems.txt", paths.problems / f"{list_id}.txt"):
        if file.is_file():
            return file.read_text(encoding="utf-8").splitlines()
    return []


def _import_collection(where: Where, path: Path, found: Survey, *, low_memory: bool) -> Imported:
    catalogue = load_catalogue(where.blocklists)
    with _progress(path) as advance:
        return import_tree(
            path,
            found,
            catalogue,
            Paths(where.state),
            now=datetime.now(UTC),
            compile_all=lambda: _compile(where, low_memory=low_memory),
            progress=advance,
        )


def _import_one(where: Where, path: Path, wanted: Wanted, *, low_memory: bool) -> Imported:
    with _progress(path) as advance:
        return import_list(
            path,
            wanted,
            Paths(where.state),
            now=datetime.now(UTC),
            compile_all=lambda: _compile(where, low_memory=low_memory),
            progress=advance,
        )


def _compile(where: Where, *, low_memory: bool) -> Compiled:
    click.echo("Compiling the lists ...", err=True)
    return ensure_compiled(where.blocklists, where.state, low_memory=low_memory)


def _check(where: Where, categories: tuple[str, ...], use: str) -> None:
    if use == "category" and not categories:
        raise ImportRefusedError("say what the list is about: --category NAME (or --use block, --use allow)")
    known = load_categories(where.blocklists)
    wrong = [unknown("category", name, known) for name in categories if name not in known]
    if wrong:
        raise ImportRefusedError("; ".join(wrong))


def _check_id(name: str) -> None:
    if name != list_id_of(Path(name)):
        raise ImportRefusedError(
            f"the id {name!r}: use small letters, digits and hyphens, such as {list_id_of(Path(name))!r}"
        )


def _refuse_help(where: Where, address: str) -> None:
    try:
        matches = _opened(where).lookup(parse_typed(address)).matches
    except UrlRefusedError:
        return  # no address of a site, so no help line's; whether it can be an entry is told by `add`
    line = next((match.list for match in matches if match.use is Use.HELP), "")
    if line:
        raise LocalRefusedError(f"this is a help line ({line}); help lines stay open")


def _parsed(address: str) -> Url:
    try:
        return parse_typed(address)
    except UrlRefusedError as error:
        click.echo(f"{show.plain(address)}: {error}", err=True)
        raise click.exceptions.Exit(FAILED) from error


def _opened(where: Where) -> Lists:
    return Lists.open(where.blocklists, where.state, where.floor_max_age_hours)


def _user() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, and the plain label elsewhere."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    bar: Any = click.progressbar(
        length=sum(file.stat().st_size for file in files),
        label=f"Reading {path.name}",
        file=sys.stderr,
    )
    with bar:
        yield bar.update


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what can be expected to go wrong into a message and exit status 2."""
    try:
        yield
    except (ImportRefusedError, CompileError, LocalRefusedError, ProblemsError) as error:
        click.echo(show.plain(str(error), keep="\n"), err=True)
    except OSError as error:
        click.echo(f"{error.filename or ''}: {error.strerror or error}", err=True)
    else:
        return
    raise click.exceptions.Exit(FAILED)
