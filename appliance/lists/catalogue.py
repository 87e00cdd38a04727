"""Which lists there are, what each is about, and how a collection's folders map to our categories.

What lives only here: the shape of `blocklists/catalogue.yaml` and `blocklists/help.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from appliance.config.categories import read_categories
from appliance.config.document import Document
from appliance.config.problems import Problem, ProblemsError, unknown
from appliance.config.typed import Section, open_document, validate
from appliance.lists.feeds import Categories, Download, FloorEntry, Id, Title
from appliance.lists.formats import Format
from appliance.lists.suffixes import public_suffixes
from appliance.model.url import UrlRefusedError, parse_typed

__all__ = [
    "Catalogue",
    "Download",
    "FloorEntry",
    "Folder",
    "ListEntry",
    "Tree",
    "load_catalogue",
    "load_help",
]

CATALOGUE_FILE = "catalogue.yaml"
CATEGORIES_FILE = "categories.yaml"
HELP_FILE = "help.yaml"

type Place = tuple[str | int, ...]
"""The keys and positions that lead to a value in the file."""


class ListEntry(Section):
    """One list that ships in the blocklists folder."""

    id: Id
    title: Title
    categories: Categories = ()
    use: Literal["category", "block", "allow"] = Field(
        default="category", description="category: says what a site is about; the profile rates that"
    )
    source: str = Field(description="File below the folder of the catalogue, e.g. demo/gambling.txt")
    format: Format = Format.AUTO
    column: str = Field(
        default="", description="Of a csv file: the name or number (from 1) of the column with the addresses"
    )
    licence: str = Field(description="Under which licence the list may be used")
    means_suffixes: bool = Field(
        default=False, description="The list means the public suffixes in it, such as blogspot.com"
    )

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if self.use == "category" and not self.categories:
            raise ValueError("a list with use 'category' needs at least one category")
        return self


class Folder(Section):
    """How one folder of a collection is taken."""

    categories: Categories = ()
    use: Literal["category", "skip"] = Field(
        default="category", description="skip: not taken, because of what `because` says"
    )
    means_suffixes: bool = False
    because: str = ""

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if (self.use == "category") is not bool(self.categories):
            raise ValueError("a folder names its categories, or says `use: skip`")
        if self.use == "skip" and not self.because:
            raise ValueError("a folder that is skipped says why in `because`")
        return self


class Tree(Section):
    """A collection in squidGuard's layout: one folder a category."""

    id: Id
    title: Title
    licence: str
    folders: dict[str, Folder]


class Catalogue(Section):
    """Everything that feeds the categories."""

    lists: tuple[ListEntry, ...] = ()
    trees: tuple[Tree, ...] = ()
    downloads: tuple[Download, ...] = Field(
        default=(),
        description="What `appliance lists update` can fetch; the settings say what it does by itself",
    )
    keep_open: tuple[str, ...] = Field(
        default=(), description="Sites that no downloaded list of what is blocked may name"
    )
    floor: Annotated[tuple[FloorEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [entry.id for part in (self.lists, self.downloads, self.floor) for entry in part]
        doubles = sorted({name for name in ids if ids.count(name) > 1})
        if doubles:
            raise ValueError(f"each list needs an id of its own; used twice: {', '.join(doubles)}")
        trees = {tree.id for tree in self.trees}
        strange = sorted({entry.tree for entry in self.downloads if entry.tree and entry.tree not in trees})
        if strange:
            raise ValueError(f"there is no collection {', '.join(strange)} under `trees`")
        return self

    def feed(self, feed_id: str) -> Download | FloorEntry | None:
        """Return the download or statutory list of this id, if it is one that can be updated."""
        return next((feed for feed in self.feeds() if feed.id == feed_id), None)

    def feeds(self) -> tuple[Download | FloorEntry, ...]:
        """Return everything that can be updated: downloads, and statutory lists that are not synthetic."""
        return (*self.downloads, *(entry for entry in self.floor if entry.mode != "development"))

    def categories(self) -> Iterator[tuple[Place, str]]:
        """Yield every category that something here feeds, with its place in the file."""
        for at, entry in enumerate(self.lists):
            yield from ((("lists", at, "categories", n), name) for n, name in enumerate(entry.categories))
        for at, feed in enumerate(self.downloads):
            yield from ((("downloads", at, "categories", n), name) for n, name in enumerate(feed.categories))
        for at, tree in enumerate(self.trees):
            for key, folder in tree.folders.items():
                place = ("trees", at, "folders", key, "categories")
                yield from (((*place, n), name) for n, name in enumerate(folder.categories))
        yield from ((("floor", at, "category"), entry.category) for at, entry in enumerate(self.floor))

    def sources(self) -> Iterator[tuple[Place, str]]:
        """Yield every file that is named, with its place in the catalogue."""
        yield from ((("lists", at, "source"), entry.source) for at, entry in enumerate(self.lists))
        yield from (
            (("floor", at, "source"), entry.source) for at, entry in enumerate(self.floor) if entry.source
        )

    def addresses(self) -> Iterator[tuple[Place, str]]:
        """Yield every address that new data is held against, with its place in the file."""
        yield from ((("keep_open", at), address) for at, address in enumerate(self.keep_open))
        for at, feed in enumerate(self.downloads):
            for key in ("must_list", "must_not_list", "may_list"):
                named: tuple[str, ...] = getattr(feed, key)
                yield from ((("downloads", at, key, n), address) for n, address in enumerate(named))


class HelpLine(Section):
    """A service that a child or adult in need must always reach."""

    id: Id
    name: Title
    about: str = Field(default="", description="Whom it helps with what")
    phone: str = ""
    addresses: Annotated[tuple[str, ...], Field(min_length=1)]


class HelpLines(Section):
    """All help lines; their addresses stay open in every profile and when the filter is failing."""

    lines: Annotated[tuple[HelpLine, ...], Field(min_length=1)]


def load_categories(blocklists: Path) -> frozenset[str]:
    """Return the ids of all categories; raises `ProblemsError`."""
    return frozenset(read_categories(open_document(blocklists / CATEGORIES_FILE)))


def load_catalogue(blocklists: Path) -> Catalogue:
    """Read and check the catalogue; raises `ProblemsError` with everything that is wrong."""
    document = open_document(blocklists / CATALOGUE_FILE)
    catalogue = validate(document, Catalogue)
    known = load_categories(blocklists)
    problems = [
        document.problem(path, unknown("category", name, known))
        for path, name in catalogue.categories()
        if name not in known
    ]
    problems += [
        document.problem(path, message)
        for path, source in catalogue.sources()
        if (message := _source_problem(blocklists, source, statutory=path[0] == "floor"))
    ]
    problems += [
        document.problem(path, f"{address!r}: {text}; write a host such as www.nhs.uk, or a URL")
        for path, address in catalogue.addresses()
        if (text := _address_problem(address))
    ]
    problems += _floor_entry_problems(document, catalogue, blocklists)
    if problems:
        raise ProblemsError(problems)
    return catalogue


def _source_problem(blocklists: Path, source: str, *, statutory: bool) -> str:
    file = blocklists / source
    if not file.is_file():
        where = "" if Path(source).is_absolute() else f" in {blocklists.name}"
        return f"there is no file {source!r}{where}"
    with file.open("rb") as opened:
        if any(text and text[:1] not in b"#;!" for line in opened if (text := line.strip())):
            return ""
    if statutory:
        return f"{file} holds no usable entry; a statutory list is never empty: restore it"
    return f"{file} holds no entry, so that this list names nothing; restore it, or take the list out here"


def _address_problem(address: str) -> str:
    try:
        parse_typed(address)
    except UrlRefusedError as error:
        return str(error)
    return ""


def _floor_entry_problems(document: Document, catalogue: Catalogue, blocklists: Path) -> list[Problem]:
    categories = read_categories(open_document(blocklists / CATEGORIES_FILE))
    statutory = sorted(name for name, category in categories.items() if category.floor)
    return [
        document.problem(
            ("floor", at, "category"),
            f"{entry.category!r} is no statutory category, and what a statutory list names is never rated by "
            f"profiles; possible: {', '.join(statutory)}",
        )
        for at, entry in enumerate(catalogue.floor)
        if entry.category in categories and not categories[entry.category].floor
    ]


def load_help(blocklists: Path) -> HelpLines:
    """Read the help lines; raises `ProblemsError`, also for an address that is none or covers too much."""
    document = open_document(blocklists / HELP_FILE)
    lines = validate(document, HelpLines)
    problems = [
        document.problem(("lines", at, "addresses", number), text)
        for at, line in enumerate(lines.lines)
        for number, address in enumerate(line.addresses)
        if (text := _help_problem(address))
    ]
    if problems:
        raise ProblemsError(problems)
    return lines


def _help_problem(address: str) -> str:
    try:
        url = parse_typed(address)
    except UrlRefusedError as error:
        return f"{address!r}: {error}; write a host such as childline.org.uk, or a URL"
    if url.path == "/" and url.ip is None and url.host in public_suffixes():
        return f"{address!r} would open every site below it to everybody; name the help line's own site"
    return ""
