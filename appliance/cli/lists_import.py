"""`appliance lists import`: take a list in, or a whole collection.

What lives only here: what is refused before anything is read, because it would surprise: an id that is taken,
and a list that would take the place of another one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from appliance.cli import lists_alone as alone
from appliance.cli import lists_show as show
from appliance.cli.lists_alone import WhereDecided
from appliance.cli.lists_common import Where, as_json, compile_all, low_memory, readable
from appliance.config.categories import read_categories
from appliance.config.problems import unknown
from appliance.config.typed import open_document
from appliance.lists.catalogue import CATEGORIES_FILE, Catalogue, load_catalogue
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
from appliance.lists.local import LOCAL
from appliance.lists.paths import Paths
from appliance.lists.store import Meta, Store
from appliance.lists.tree import Survey
from appliance.model.category import Category

_OURS = (LOCAL, "built-in", "help")


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--category",
    "-c",
    "categories",
    multiple=True,
    metavar="NAME",
    help="What the sites on the list are about, such as gambling; may be given several times. The names "
    "stand in blocklists/categories.yaml.",
)
@click.option(
    "--id",
    "list_id",
    metavar="ID",
    help="How the list is called in reasons and commands. Default: made from the file's name.",
)
@click.option("--title", metavar="TEXT", help="The list's title for people. Default: its id.")
@click.option(
    "--use",
    type=click.Choice(["category", "block", "allow"]),
    default="category",
    show_default=True,
    help="category: each profile rates it. block, allow: the school's own decision, for everybody.",
)
@click.option(
    "--format",
    "chosen",
    type=click.Choice([f.value for f in Format]),
    default="auto",
    show_default=True,
    metavar="FORMAT",
    help=f"How it is written: {', '.join(f.value for f in Format)}.",
)
@click.option(
    "--means-suffixes",
    is_flag=True,
    help="Take lines such as blogspot.com at their word: they close everybody's sites below that name.",
)
@click.option(
    "--column", default="", metavar="NAME", help="Of a csv file: name or number of the address column."
)
@click.option("--licence", default="", metavar="TEXT", help="Under which licence the list may be used.")
@low_memory
@as_json
@click.pass_obj
def import_(
    where: WhereDecided,
    path: Path,
    categories: tuple[str, ...],
    list_id: str | None,
    title: str | None,
    use: str,
    chosen: str,
    *,
    means_suffixes: bool,
    column: str,
    licence: str,
    low_memory: bool,
    as_json: bool,
) -> None:
    """Import a list (a file, an archive or a folder), or a whole collection such as UT1.

    Without --category, PATH must be a collection whose folders the catalogue knows. The same list again
    takes the place of its earlier edition, to which `appliance lists rollback ID` returns. It is compiled at
    once; a running gateway takes it up within a second. With changes.approval: two one person imports what
    only closes sites; anything else is proposed: `appliance changes propose --import PATH`.
    """
    paths = Paths(where.state)
    with readable():
        found = survey_of(path)
        alone.may_import(where, path, categories, use)
        before = {meta.id: meta for meta in Store(paths).whole()}
        if found.folders and not categories and use == "category":
            done = _import_collection(where, path, found, low_memory=low_memory)
        else:
            _say_floor(_categories(where, categories, use), path)
            name = list_id or list_id_of(path)
            _check_id(name, load_catalogue(where.blocklists), given=bool(list_id))
            _check_same(before.get(name), categories, use)
            wanted = Wanted(
                name, title or name, categories, use, Format(chosen), means_suffixes, column, licence
            )
            done = _import_one(where, path, wanted, low_memory=low_memory)
        for meta in done.lists:
            where.note("list-import", meta.id, source=meta.source, entries=meta.entries, use=meta.use)
    show.imported(done, paths, as_json=as_json)
    for meta in done.lists:
        show.replaced(before.get(meta.id), meta)


def _import_collection(where: Where, path: Path, found: Survey, *, low_memory: bool) -> Imported:
    catalogue = load_catalogue(where.blocklists)
    with _progress(path) as advance:
        return import_tree(
            path,
            found,
            catalogue,
            Paths(where.state),
            now=datetime.now(UTC),
            compile_all=lambda: compile_all(where, low_memory=low_memory),
            progress=advance,
            accept=alone.nothing_less(where),
        )


def _import_one(where: Where, path: Path, wanted: Wanted, *, low_memory: bool) -> Imported:
    with _progress(path) as advance:
        return import_list(
            path,
            wanted,
            Paths(where.state),
            now=datetime.now(UTC),
            compile_all=lambda: compile_all(where, low_memory=low_memory),
            progress=advance,
            accept=alone.nothing_less(where),
        )


def _categories(where: Where, names: tuple[str, ...], use: str) -> list[Category]:
    if use == "category" and not names:
        raise ImportRefusedError("say what the list is about: --category NAME (or --use block, --use allow)")
    known = read_categories(open_document(where.blocklists / CATEGORIES_FILE))
    if wrong := [unknown("category", name, known) for name in names if name not in known]:
        raise ImportRefusedError("; ".join(wrong))
    return [known[name] for name in names]


def _say_floor(categories: list[Category], path: Path) -> None:
    for category in categories:
        if category.floor:
            click.echo(
                f"note: {category.id} is a statutory category. What {path.name} names is closed to "
                "everybody, no profile and no `lists add allow` opens it, and each attempt is recorded as "
                "critical. Its entries can be read in the state folder: a list under licence (IWF, CTIRU) is "
                "supplied through `floor:` in the catalogue instead, which keeps hashes alone.",
                err=True,
            )


def _check_id(name: str, catalogue: Catalogue, *, given: bool) -> None:
    if name != list_id_of(Path(name)):
        raise ImportRefusedError(
            f"the id {name!r}: use small letters, digits and hyphens, such as {list_id_of(Path(name))!r}"
        )
    parts = (catalogue.lists, catalogue.downloads, catalogue.floor, catalogue.trees)
    taken = name in {*_OURS, *(entry.id for part in parts for entry in part)}
    tree = next((tree.id for tree in catalogue.trees if name.startswith(f"{tree.id}-")), "")
    if taken or tree:
        whose = f"the collection {tree!r}" if tree and not taken else "the gateway"
        how = "choose another" if given else "made from the file's name; choose one"
        raise ImportRefusedError(
            f"the id {name!r} belongs to {whose} itself: {how} with --id, such as --id school-{name}"
        )


def _check_same(before: Meta | None, categories: tuple[str, ...], use: str) -> None:
    if before is None or (before.use == use and set(before.categories) == set(categories)):
        return
    about = ", ".join(before.categories) or before.use
    raise ImportRefusedError(
        f"there is another list {before.id!r} already: about {about}, from {before.source}, "
        f"{before.entries} entries. To keep both, give this one a name of its own: --id {before.id}-2. "
        f"To replace that one, drop it first: appliance lists drop {before.id}"
    )


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
