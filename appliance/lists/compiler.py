"""All lists in, one table and one locked floor out, when anything has changed.

What lives only here: which lists go into the table (those of the catalogue, then the imported
ones), when a compile is needed, and the child process it runs in, so that a worker's memory
does not grow with the lists.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import appliance
from appliance.config.problems import InWordsError, ProblemsError
from appliance.lists.catalogue import HELP_FILE, Catalogue, ListEntry, load_catalogue, load_help
from appliance.lists.entries import EntryRefusedError
from appliance.lists.formats import NotAListError
from appliance.lists.formats_csv import ColumnError
from appliance.lists.lock import FloorRefusedError, Fresh, lock_floor, secrets_in
from appliance.lists.locked import Manifest, manifest_of
from appliance.lists.merging import Keys
from appliance.lists.paths import Paths, alone, replacing
from appliance.lists.reading import Reader
from appliance.lists.store import Store, StoreError
from appliance.lists.table import Contents, Info, KeyFile, Table, TableError, write_table
from appliance.lists.unpack import SourceError, members
from appliance.model.url import Url, UrlRefusedError, parse_typed

REFUSED = 2
"""Exit status of the child when it says why it cannot compile."""
FORMAT = b"6"
"""Changes when the same sources compile to other keys, so that old tables are made anew."""


class CompileError(InWordsError):
    """The lists cannot be compiled; the old table stays in force. The message says why."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compile did. `fresh` is False where the table was current and stayed."""

    fresh: bool
    contents: Contents
    floor: Manifest

    @property
    def names(self) -> int:
        """Entries of all lists together, doubles included."""
        return sum(info.entries for info in self.contents.lists)


def ensure_compiled(
    blocklists: Path,
    state: Path,
    *,
    child: bool = True,
    low_memory: bool = False,
    now: Callable[[], float] = time.time,
) -> Compiled:
    """Compile what is new or changed since the last compile, and return what is in force.

    `blocklists` is the folder of the catalogue, `state` the folder that is written to. Another
    process that does the same is waited for. `low_memory` takes longer, and less memory. The
    development floor is made anew each time, since it has no supplier whose date could age. Raises
    `CompileError`, or `ProblemsError` for the catalogue; whatever was compiled before then stays.
    """
    if child and not is_current(blocklists, Paths(state)):
        return _in_child(blocklists, state, now(), low_memory=low_memory)
    return compile_lists(
        blocklists, state, now(), low_memory=low_memory
    )  # where all is current, no process is worth its start


def compile_lists(blocklists: Path, state: Path, now: float, *, low_memory: bool = False) -> Compiled:
    """Do the same in this process; `now` is seconds since 1970."""
    paths = Paths(state)
    try:
        with alone(paths):
            return _compile(blocklists, paths, now, low_memory=low_memory)
    except (
        SourceError,
        StoreError,
        NotAListError,
        ColumnError,
        UrlRefusedError,
        EntryRefusedError,
        FloorRefusedError,
    ) as error:
        raise CompileError(str(error)) from error
    except OSError as error:
        raise CompileError(f"{error.filename or state}: {error.strerror or error}") from error


def help_addresses(blocklists: Path) -> list[tuple[str, Url]]:
    """Return each help line's id with each of its addresses; raises `ProblemsError`, `UrlRefusedError`."""
    lines = load_help(blocklists).lines
    return [(line.id, parse_typed(address)) for line in lines for address in line.addresses]


def _in_child(blocklists: Path, state: Path, now: float, *, low_memory: bool) -> Compiled:
    load_catalogue(blocklists)  # its problems are told by this process, with all their places
    load_help(blocklists)
    package = Path(appliance.__file__).parent.parent
    done = subprocess.run(  # noqa: S603 - this interpreter and this module, arguments without a shell
        [sys.executable, "-m", "appliance.lists.compiler", str(blocklists), str(state), repr(now)]
        + ["low-memory"] * low_memory,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(package), *_python_path())))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        signal = -done.returncode
        raise CompileError(
            f"the compile was stopped by signal {signal} (out of memory?); the old table stays"
        )
    if done.returncode:
        said = done.stderr.strip() or "the compile failed"
        raise CompileError(
            said if done.returncode == REFUSED else f"{said.splitlines()[-1]}; the old table stays"
        )
    answer = json.loads(done.stdout)
    contents = Table(Paths(state).table).contents
    return Compiled(answer["fresh"], contents, manifest_of(answer["floor"]))


def _python_path() -> tuple[str, ...]:
    return (os.environ.get("PYTHONPATH", ""),)


def main(arguments: list[str]) -> int:
    """Compile as a child process does: say what was done as JSON, or why not, and return the status."""
    blocklists, state, now, *how = arguments
    try:
        done = compile_lists(Path(blocklists), Path(state), float(now), low_memory="low-memory" in how)
    except (CompileError, ProblemsError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    json.dump({"fresh": done.fresh, "floor": asdict(done.floor)}, sys.stdout)
    return 0


def _compile(blocklists: Path, paths: Paths, now: float, *, low_memory: bool) -> Compiled:
    catalogue = load_catalogue(blocklists)
    store = Store(paths)
    store.bring_up()
    inputs = _fingerprint(blocklists, catalogue, store)
    current = _current(paths, inputs)
    contents = current or write_table(
        paths.table, _sources(blocklists, paths, catalogue, store), now, inputs, low_memory=low_memory
    )
    floor = lock_again(blocklists, paths, catalogue, now)
    # The help lines of a state that was in order: what a worker opens that starts amid a broken edit.
    with replacing(paths.root / HELP_FILE) as file:
        file.write((blocklists / HELP_FILE).read_bytes())
    store.tidy()
    return Compiled(current is None, contents, floor)


def lock_again(
    blocklists: Path, paths: Paths, catalogue: Catalogue, now: float, fresh: Mapping[str, Fresh] | None = None
) -> Manifest:
    """Lock the floor anew: the development lists from their files, others from `fresh`, or as they were.

    The caller holds the lock of the lists. Raises as `lock_floor` does.
    """
    sources = [(entry, blocklists / entry.source if entry.source else None) for entry in catalogue.floor]
    for entry, source in sources:
        if source is not None and not _has_entry(source):
            # The file was emptied, or something else lies in its place: the old floor stays, and ages.
            raise FloorRefusedError(f"{entry.id}: holds no usable entry; a statutory list is never empty")
    keep_open = [parse_typed(address) for address in catalogue.keep_open]
    help_lines = [url for _, url in help_addresses(blocklists)]
    return lock_floor(sources, help_lines, paths, now, fresh=fresh, keep_open=keep_open)


def _has_entry(source: Path) -> bool:
    for member in members(source):
        for secret in secrets_in(member.lines):
            with contextlib.suppress(UrlRefusedError):
                return bool(parse_typed(secret.reveal()))
    return False


def is_current(blocklists: Path, paths: Paths) -> bool:
    """Tell whether the table holds what the files and imports hold now.

    A guess without the lock; what is then done decides again with it. Raises `ProblemsError`, `StoreError`.
    """
    try:
        inputs = _fingerprint(blocklists, load_catalogue(blocklists), Store(paths))
    except OSError:
        return False
    return _current(paths, inputs) is not None


def _current(paths: Paths, inputs: str) -> Contents | None:
    try:
        contents = Table(paths.table).contents
    except TableError:
        return None
    return contents if contents.inputs == inputs else None


def _sources(blocklists: Path, paths: Paths, catalogue: Catalogue, store: Store) -> list[tuple[Info, Keys]]:
    lists: list[tuple[Info, Keys]] = [_shipped(blocklists, paths, entry) for entry in catalogue.lists]
    return lists + [(meta.info(), KeyFile(store.keys_of(meta))) for meta in store.all()]


def _fingerprint(blocklists: Path, catalogue: Catalogue, store: Store) -> str:
    digest = hashlib.sha256(FORMAT)
    digest.update(catalogue.model_dump_json().encode())
    for entry in catalogue.lists:
        digest.update((blocklists / entry.source).read_bytes())
    digest.update(store.fingerprint())
    return digest.hexdigest()


class _Memory(list[str]):
    """Keys of a small list that ships, in memory; written to as to a file."""

    def write(self, text: str) -> None:
        self.extend(text[:-1].split("\n"))


def _shipped(blocklists: Path, paths: Paths, entry: ListEntry) -> tuple[Info, Keys]:
    source = blocklists / entry.source
    keys, problems = _Memory(), _Memory()
    reader = Reader(keys, problems, means_suffixes=entry.means_suffixes)
    for member in members(source):
        reader.read(member.name, member.lines, entry.format, column=entry.column)
    if problems:
        with replacing(paths.problems / f"{entry.id}.txt") as file:
            file.write("\n".join(problems).encode() + b"\n")
    with source.open("rb") as file:
        version = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    account = reader.account
    info = Info(
        id=entry.id,
        title=entry.title,
        version=f"sha256:{version}",
        categories=entry.categories,
        use=entry.use,
        licence=entry.licence,
        lines=account.lines,
        used=account.used,
        comments=account.comments,
        skipped=account.skipped,
        quarantined=account.quarantined,
        entries=account.entries,
    )
    return info, keys


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
