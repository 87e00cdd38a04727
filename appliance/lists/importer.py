"""Takes a list, or a whole collection, from a file or folder into the school's lists.

What lives only here: the steps of an import and their order. Everything is read into drafts
first; only when the whole source was read does it come into force, and the table is compiled.
Whatever fails before, at any line, leaves what was in force as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from appliance.config.problems import InWordsError
from appliance.lists.catalogue import Catalogue, Folder, Tree
from appliance.lists.e2guardian import list_files
from appliance.lists.formats import SAMPLE, Format, NotAListError, refuse_binary
from appliance.lists.formats_csv import ColumnError
from appliance.lists.paths import Paths, alone
from appliance.lists.reading import Reader
from appliance.lists.store import Draft, Meta, Store, counts
from appliance.lists.tree import FURNITURE, KINDS, USAGE, Survey, place_of, survey
from appliance.lists.unpack import Member, Progress, SourceError, members

IMPORT_LOCK = ".import.lock"

_UNFIT = re.compile(r"[^a-z0-9]+")
_USAGES = frozenset(["black", "white"])


type Accept = Callable[[Sequence[tuple[Meta, Path]]], None]
"""Is shown each edition with the file of its keys, before it comes into force; raises to refuse all."""


class ImportRefusedError(InWordsError):
    """The source is not taken; nothing has changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator says of a single list."""

    list_id: str
    title: str
    categories: tuple[str, ...]
    use: str = "category"
    format: Format = Format.AUTO
    means_suffixes: bool = False
    column: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. `left_out` says for each folder that was not taken, why."""

    lists: tuple[Meta, ...]
    left_out: dict[str, str] = field(default_factory=dict)


def list_id_of(path: Path) -> str:
    """Return a list id made from a file's name: `Blocked-Hosts.txt.xz` gives `blocked-hosts`."""
    return _UNFIT.sub("-", path.name.split(".")[0].lower()).strip("-") or "list"


def import_list(
    path: Path,
    wanted: Wanted,
    paths: Paths,
    *,
    now: datetime,
    compile_all: Callable[[], object],
    progress: Progress | None = None,
    accept: Accept | None = None,
) -> Imported:
    """Import one file, or a folder or archive of files, as one list; `now` is aware.

    `compile_all` makes the new table; when it raises, the last edition is in force again and its
    error goes on. `accept` may refuse what was read. Raises `ImportRefusedError`.
    """
    with alone(paths, IMPORT_LOCK):
        reading = _Reading(Store(paths), now, path)
        with reading.drafts():
            sink = reading.sink(wanted.list_id, means_suffixes=wanted.means_suffixes)
            if wanted.format is Format.E2GUARDIAN:
                for member, meaning_of in list_files(path, wanted.use, progress):
                    sink.reader.read_as(member.name, member.lines, meaning_of)
                    sink.formats.add(wanted.format.value)
            else:
                _read_files(path, sink, wanted, progress)
            meta = sink.meta(
                wanted.list_id, wanted.title, wanted.categories, wanted.use, licence=wanted.licence
            )
            if not meta.entries:
                raise ImportRefusedError(f"{path}: holds no usable entry; {_most_common(sink.reader)}")
            reading.commit([(sink, meta)], paths, compile_all, accept)
    return Imported((meta,))


def _read_files(path: Path, sink: _Sink, wanted: Wanted, progress: Progress | None) -> None:
    for member in members(path, progress):
        place = place_of(member.name)
        if not member.link and not (place.file in FURNITURE and member.name != path.name):
            plain = _checked(member) if member.name == path.name else member
            sink.read(plain, KINDS.get(place.file, Format.AUTO), wanted.format, wanted.column)


def _checked(member: Member) -> Member:
    # In an archive or folder some other file may well lie; a file that is named is meant to be a list.
    head = list(itertools.islice(member.lines, SAMPLE))
    refuse_binary(head)
    return replace(member, lines=itertools.chain(head, member.lines))


def import_tree(
    path: Path,
    found: Survey,
    catalogue: Catalogue,
    paths: Paths,
    *,
    now: datetime,
    compile_all: Callable[[], object],
    progress: Progress | None = None,
    accept: Accept | None = None,
) -> Imported:
    """Import a collection folder by folder, as the catalogue maps them; `found` is its `survey`."""
    tree = _tree_for(found, catalogue, path)
    with alone(paths, IMPORT_LOCK):
        reading = _Reading(Store(paths), now, path)
        with reading.drafts():
            sinks = _read_folders(path, tree, reading, progress)
            metas = [
                (sink, _meta_of_folder(tree, folder, sink, found)) for folder, sink in sorted(sinks.items())
            ]
            taken = [(sink, meta) for sink, meta in metas if meta.entries]
            if not taken:
                raise ImportRefusedError(f"{path}: holds no usable entry")
            reading.commit(taken, paths, compile_all, accept)
    left_out = {folder: _why_not(tree.folders.get(folder)) for folder in sorted(found.folders - set(sinks))}
    left_out |= {folder: "holds no usable entry" for folder, sink in sinks.items() if not sink.entries}
    return Imported(tuple(meta for _, meta in taken), left_out)


def survey_of(path: Path) -> Survey:
    """Return what kind of source this is; raises `ImportRefusedError` where it cannot be read."""
    try:
        return survey(path)
    except (SourceError, OSError) as error:
        raise ImportRefusedError(str(error)) from error


@dataclass(slots=True)
class _Sink:
    """One list being read in."""

    draft: Draft
    reader: Reader
    now: datetime
    source: str
    source_sha256: str
    formats: set[str] = field(default_factory=set)
    usage: list[str] = field(default_factory=list)

    @property
    def entries(self) -> int:
        return self.reader.account.entries

    def read(self, member: Member, known: Format, chosen: Format, column: str = "") -> None:
        kind = known if chosen is Format.AUTO else chosen
        used = self.reader.read(member.name, member.lines, kind, column=column)
        self.formats.add(used.value)

    def meta(
        self,
        list_id: str,
        title: str,
        categories: tuple[str, ...],
        use: str = "category",
        *,
        licence: str = "",
        aliases: tuple[str, ...] = (),
    ) -> Meta:
        sha256, keys = self.draft.close()
        return Meta.model_validate(
            {
                "id": list_id,
                "title": title,
                "categories": categories,
                "use": use,
                "licence": licence,
                "format": "+".join(sorted(self.formats)),
                "source": self.source,
                "source_sha256": self.source_sha256,
                "imported_at": self.now,
                "keys": keys,
                "sha256": sha256,
                "usage": tuple(self.usage),
                "aliases": aliases,
                **counts(self.reader.account),
            }
        )


class _Reading:
    """All drafts of one import."""

    def __init__(self, store: Store, now: datetime, path: Path) -> None:
        self._store = store
        self._now = now
        self._path = path
        self._sha256 = _sha256(path)
        self._drafts: list[Draft] = []

    def sink(self, list_id: str, *, means_suffixes: bool) -> _Sink:
        """Begin one list."""
        draft = self._store.draft(list_id)
        self._drafts.append(draft)
        reader = Reader(draft.keys, draft.problems, means_suffixes=means_suffixes)
        return _Sink(draft, reader, self._now, self._path.name, self._sha256)

    @contextlib.contextmanager
    def drafts(self) -> Iterator[None]:
        """Drop whatever was not committed, and say in one way what went wrong."""
        try:
            yield
        except (SourceError, NotAListError, ColumnError) as error:
            raise ImportRefusedError(f"{self._path}: {error}") from error
        except OSError as error:
            raise ImportRefusedError(f"{error.filename or self._path}: {error.strerror or error}") from error
        finally:
            for draft in self._drafts:
                draft.drop()

    def commit(
        self,
        taken: list[tuple[_Sink, Meta]],
        paths: Paths,
        compile_all: Callable[[], object],
        accept: Accept | None,
    ) -> None:
        """Put the new editions in force and compile; go back when that fails."""
        if accept:
            accept([(meta, sink.draft.unconfirmed) for sink, meta in taken])
        saved = self._store.saved([meta.id for _, meta in taken])
        try:
            with alone(paths):
                for sink, meta in taken:
                    sink.draft.commit(meta)
            compile_all()
        except BaseException:
            with alone(paths):
                self._store.restore(saved)
            raise


def _read_folders(path: Path, tree: Tree, reading: _Reading, progress: Progress | None) -> dict[str, _Sink]:
    sinks: dict[str, _Sink] = {}
    for member in members(path, progress):
        folder, file = place_of(member.name)
        mapped = tree.folders.get(folder)
        if member.link or mapped is None or mapped.use == "skip" or not (file in KINDS or file == USAGE):
            continue
        if folder not in sinks:
            sinks[folder] = reading.sink(f"{tree.id}-{folder}", means_suffixes=mapped.means_suffixes)
        if file == USAGE:
            sinks[folder].usage += [word for line in member.lines if (word := line.strip()) in _USAGES]
        else:
            sinks[folder].read(member, KINDS[file], Format.AUTO)
    return sinks


def _meta_of_folder(tree: Tree, folder: str, sink: _Sink, found: Survey) -> Meta:
    return sink.meta(
        f"{tree.id}-{folder}",
        f"{tree.title}: {folder}",
        tree.folders[folder].categories,
        licence=tree.licence,
        aliases=found.names_of(folder),
    )


def _tree_for(found: Survey, catalogue: Catalogue, path: Path) -> Tree:
    fitting = max(catalogue.trees, key=lambda tree: len(found.folders & set(tree.folders)), default=None)
    if fitting is None or not found.folders & set(fitting.folders):
        raise ImportRefusedError(
            f"{path}: a collection, but the catalogue has no mapping for its folders "
            f"({', '.join(sorted(found.folders)[:8])}); name one folder and a --category"
        )
    return fitting


def _why_not(folder: Folder | None) -> str:
    return folder.because if folder else "the catalogue does not say what it is about"


def _most_common(reader: Reader) -> str:
    reasons = reader.account.reasons.most_common(1)
    return f"most lines were {reasons[0][0]}" if reasons else "it is empty"


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
