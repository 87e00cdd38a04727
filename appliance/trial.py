"""Changes of whole lists that two people make: tried beside what is in force, and done once released.

What lives only here: the acts `drop`, `rollback`, `accept` and `import`, and the copy of the lists in which
they are tried. The copy shares its files with the original, which are replaced and never written over.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.changes.store import FOLDER, ChangeError, Entry
from appliance.lists.catalogue import load_catalogue
from appliance.lists.compiler import ensure_compiled
from appliance.lists.feeds import Download
from appliance.lists.formats import Format
from appliance.lists.importer import Wanted, import_list, import_tree, survey_of
from appliance.lists.ledger import Ledger
from appliance.lists.paths import Paths
from appliance.lists.update import Came, Means, Updater
from appliance.owners import make_folder
from appliance.settings import Settings

DROP, ROLLBACK, ACCEPT, IMPORT = "drop", "rollback", "accept", "import"
LIST_ACTS = frozenset({DROP, ROLLBACK, ACCEPT, IMPORT})
_WANTED = "wanted.json"
_IMPORTS = "imports"
_LEFT_OUT = shutil.ignore_patterns("downloads", ".*")


def list_acts(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return what of the entries is about whole lists; ChangeError where that is more than one."""
    found = tuple(entry for entry in entries if entry.act in LIST_ACTS)
    if len(found) > 1:
        raise ChangeError(
            "one list at a time: make a change of its own for each, so that each can be refused"
        )
    return found


@dataclass(frozen=True, slots=True)
class Where:
    """Lists in which an act is done: those in force, or a copy."""

    settings: Settings
    blocklists: Path
    state: Path

    @classmethod
    def real(cls, settings: Settings) -> Where:
        """Return the lists in force."""
        return cls(settings, settings.blocklists, settings.state)

    def compile(self) -> None:
        """Compile what is due; CompileError, ProblemsError."""
        ensure_compiled(self.blocklists, self.state)


@contextmanager
def tried(settings: Settings, blocklists: Path, entries: tuple[Entry, ...]) -> Iterator[Where]:
    """Give a copy of the lists in which a proposal is in force; it is gone when the block ends.

    InWordsError of the lists where it cannot be done.
    """
    root = settings.state / FOLDER / f".trial-{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    make_folder(root)
    try:
        lists, local = Paths(settings.state), Paths(root).local
        if lists.root.is_dir():
            shutil.copytree(lists.root, Paths(root).root, copy_function=os.link, ignore=_LEFT_OUT)
        if local.exists():  # the one file that is written over
            local.unlink()
            shutil.copyfile(lists.local, local)
        if (settings.state / "secrets").is_dir():
            (root / "secrets").symlink_to((settings.state / "secrets").resolve())
        where = Where(settings, blocklists.absolute(), root)
        for entry in list_acts(entries):
            done(entry, where)
        where.compile()
        yield where
    finally:
        shutil.rmtree(root, ignore_errors=True)


def done(entry: Entry, where: Where) -> None:
    """Do one act; what fails leaves what was in force. InWordsError of the lists."""
    settings = where.settings
    updater = Updater(
        Means(where.blocklists, where.state, settings.school.domains, settings.lists.update_memory_megabytes)
    )
    if entry.act == DROP:
        updater.drop(entry.address, settings.lists.updates, where.compile)
    elif entry.act == ROLLBACK:
        updater.roll_back(entry.address, where.compile)
    elif entry.act == ACCEPT:
        feed, _, edition = entry.address.partition(" ")
        outcome = updater.update(feed, accept=True, only=edition)
        if outcome.came is Came.FAILED:
            raise ChangeError(f"{feed}: {outcome.words}")
    else:
        _import(kept_import(settings.state, entry.address), where)


def named_edition(settings: Settings, feed: str, trial: Where) -> Entry:
    """Return the entry that accepts just the edition that was tried: no other one is released by it."""
    found = load_catalogue(settings.blocklists).feed(feed)
    edition = Ledger(Paths(trial.state)).read(feed).sha256 if isinstance(found, Download) else ""
    return Entry(ACCEPT, f"{feed} {edition}".strip())


# --- imports that wait ---


def keep_import(state: Path, source: Path, wanted: Wanted | None) -> str:
    """Keep a copy of a list until it is released; return its name. None for a whole collection. OSError."""
    folder = state / FOLDER / _IMPORTS
    make_folder(state / FOLDER)
    make_folder(folder)
    number = 1 + max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
    target = folder / str(number)
    make_folder(target)
    copy: Callable[[Path, Path], object] = shutil.copytree if source.is_dir() else shutil.copyfile
    copy(source, target / source.name)
    said = {"source": source.name, "wanted": asdict(wanted) if wanted else None}
    (target / _WANTED).write_text(json.dumps(said), encoding="utf-8")
    return str(number)


def kept_import(state: Path, name: str) -> Path:
    """Return the folder of a list that waits; ChangeError where there is none."""
    folder = state / FOLDER / _IMPORTS / name
    if not name.isdecimal() or not (folder / _WANTED).is_file():
        raise ChangeError(f"the list that was kept as import {name} is gone; propose it again")
    return folder


def _wanted(folder: Path) -> Wanted:
    said = json.loads((folder / _WANTED).read_text(encoding="utf-8"))["wanted"]
    if said is None:
        return Wanted("", "", ())
    values = said | {"format": Format(said["format"]), "categories": tuple(said["categories"])}
    return Wanted(**values)


def _import(folder: Path, where: Where) -> None:
    source = folder / json.loads((folder / _WANTED).read_text(encoding="utf-8"))["source"]
    wanted, paths, now = _wanted(folder), Paths(where.state), datetime.now(UTC)
    if wanted.list_id:
        import_list(source, wanted, paths, now=now, compile_all=where.compile)
    else:
        catalogue = load_catalogue(where.blocklists)
        import_tree(source, survey_of(source), catalogue, paths, now=now, compile_all=where.compile)
