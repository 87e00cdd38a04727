"""One compiled file that every worker maps: from a key to the lists that hold it.

What lives only here: the layout of the table file. It is a marisa trie of all keys (or several,
each of its own keys, where it was made with little memory), then for each key's number the number
of a set of lists, then the sets and lists themselves as JSON, then a footer. The tries and the
numbers are read where they lie in the page cache, so ten workers hold one copy.
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import struct
import tempfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import marisa_trie

from appliance.config.problems import InWordsError
from appliance.lists.merging import Keys, Sets, Special, merge, part_of, special, split
from appliance.lists.paths import replacing

_MAGIC = b"LISTS\x00v3"
_FOOTER = struct.Struct("<QI8s")  # start of JSON, CRC, magic
_PARTS = 8
"""Of a table that is made with little memory: one part at a time."""
_CHUNK = 1 << 20
_ALIGNED = 8


type _Prefixes = Callable[[str], Iterable[tuple[str, int]]]
"""What gives the keys of a trie that are prefixes of a text, each with its number."""


class TableError(InWordsError):
    """The file is no table, or is damaged; the message says in which way."""


@dataclass(frozen=True, slots=True)
class Info:
    """One list as the table knows it. `excepts` is the list whose entries these take back, or -1."""

    id: str
    title: str
    version: str
    categories: tuple[str, ...]
    use: str
    licence: str = ""
    dated: str = ""
    usage: tuple[str, ...] = ()
    lines: int = 0
    used: int = 0
    comments: int = 0
    skipped: int = 0
    quarantined: int = 0
    entries: int = 0
    excepts: int = -1


@dataclass(frozen=True, slots=True)
class Contents:
    """What a table says of itself."""

    compiled_at: float
    inputs: str
    lists: tuple[Info, ...]
    sets: tuple[tuple[int, ...], ...] = ()
    expressions: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The keys of one list in a file, one a line."""

    path: Path

    def __iter__(self) -> Iterator[str]:
        for block in self.blocks():
            yield from block.split("\n")

    def blocks(self) -> Iterator[str]:
        """Yield some thousands of keys at once, a line end between each two."""
        with self.path.open(encoding="ascii", newline="\n") as file:
            while block := file.read(_CHUNK):
                yield (block + file.readline()).removesuffix("\n")


def write_table(
    path: Path,
    lists: Sequence[tuple[Info, Keys]],
    compiled_at: float,
    inputs: str,
    *,
    low_memory: bool = False,
) -> Contents:
    """Compile `lists` into `path`, which is replaced when the new table is whole.

    `compiled_at` is seconds since 1970, `inputs` a fingerprint of the sources. The same arguments
    give the same bytes. Needs about 110 bytes of memory a key; with `low_memory` an eighth of
    that, and twice the time.
    """
    keys = [keys for _, keys in lists]
    infos = [info for info, _ in lists]
    found = special(keys)
    largest = max(range(len(infos)), key=lambda at: infos[at].entries, default=0)
    back = list(found.taken_back.values())
    with replacing(path) as file, _parts(path, [*keys, *back], low_memory=low_memory) as parts:
        sets, places, numbers = Sets(), [], []
        for part in parts:
            trie, numbered = merge(part[: len(keys)], part[len(keys) :], found.with_urls, largest, sets)
            places.append((file.tell(), len(trie)))
            numbers.append(numbered)
            _write_trie(file, path, trie)
            del trie  # before the next one is made
        contents = Contents(
            compiled_at,
            inputs,
            (*infos, *_shadows(infos, found)),
            tuple(sets.sets),
            tuple(found.expressions),
        )
        _write_rest(file, contents, places, numbers)
    return contents


@contextlib.contextmanager
def _parts(path: Path, lists: Sequence[Keys], *, low_memory: bool) -> Iterator[Sequence[Sequence[Keys]]]:
    """Yield the lists whole, or their shares of each part, in files beside the table."""
    if not low_memory:
        yield [lists]
        return
    with tempfile.TemporaryDirectory(prefix=".parts-", dir=path.parent) as folder:
        shares: list[list[Keys]] = [[] for _ in range(_PARTS)]
        for at, keys in enumerate(lists):
            paths = [Path(folder) / f"{at}-{part}" for part in range(_PARTS)]
            with contextlib.ExitStack() as stack:
                split(keys, [stack.enter_context(file.open("w", encoding="ascii")) for file in paths])
            for share, file in zip(shares, paths, strict=True):
                share.append(KeyFile(file))
        yield shares


def _shadows(infos: list[Info], found: Special) -> Iterator[Info]:
    """Yield for each list that takes entries back a shadow list that holds those."""
    for index in found.taken_back:
        info = infos[index]
        yield Info(info.id, info.title, info.version, (), info.use, excepts=index)


def _write_trie(file: IO[bytes], path: Path, trie: marisa_trie.Trie) -> None:
    draft = path.with_name(f".{path.name}.trie")
    try:
        _save(trie, draft)
        with draft.open("rb") as saved:
            while chunk := saved.read(_CHUNK):
                file.write(chunk)
    finally:
        draft.unlink(missing_ok=True)
    file.write(bytes(-file.tell() % _ALIGNED))


def _write_rest(
    file: IO[bytes], contents: Contents, places: list[tuple[int, int]], numbers: list[array[int]]
) -> None:
    at_numbers = file.tell()
    width = "H" if len(contents.sets) <= 0xFFFF else "I"  # noqa: PLR2004 - what two bytes hold
    for part in numbers:
        file.write((part if width == "I" else array("H", part)).tobytes())
    at_json = file.tell()
    tables = {"width": width, "numbers": at_numbers, "parts": places}
    file.write(json.dumps(asdict(contents) | {"layout": tables}, separators=(",", ":")).encode())
    file.flush()
    file.seek(0)
    crc = 0
    while chunk := file.read(_CHUNK):
        crc = zlib.crc32(chunk, crc)
    file.write(_FOOTER.pack(at_json, crc, _MAGIC))


def _save(trie: marisa_trie.Trie, draft: Path) -> None:
    try:
        trie.save(str(draft))  # the library writes to a name only
    except RuntimeError as error:  # which is how it says that the disk is full
        raise OSError(errno.ENOSPC, "cannot be written; is the disk full?", str(draft)) from error


class Table:
    """A table file, mapped. Opening checks every byte, so that damage is found here and not later."""

    def __init__(self, path: Path) -> None:
        try:
            # The mapping takes its own handle, but the file must be open until it has (Python 3.13).
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise TableError(f"{path.name}: {getattr(error, 'strerror', None) or error}") from error
        view = memoryview(self._map)
        data = self._checked(path, view)
        layout = data.pop("layout")
        self.contents = _contents(data)
        self.sets = self.contents.sets
        self.size = len(view)
        self._parts: list[tuple[_Prefixes, memoryview[int]]] = []
        at = layout["numbers"]
        for start, keys in layout["parts"]:
            trie = marisa_trie.Trie().map(view[start:])
            if len(trie) != keys:
                raise TableError(f"{path.name}: holds {len(trie)} keys instead of {keys}")
            end = at + keys * struct.calcsize(layout["width"])
            self._parts.append((trie.iter_prefixes_with_ids, view[at:end].cast(layout["width"])))
            at = end
        self._only = self._parts[0] if len(self._parts) == 1 else None

    def __len__(self) -> int:
        return sum(len(numbers) for _, numbers in self._parts)

    def prefixes(self, key: str) -> list[tuple[str, tuple[int, ...]]]:
        """Return each key of the table that is a prefix of `key`, shortest first, with its lists."""
        covering, numbers = self._only or self._parts[max(0, part_of(key, len(self._parts)))]
        sets = self.sets
        return [(found, sets[numbers[at]]) for found, at in covering(key)]

    def set_counts(self) -> dict[tuple[int, ...], int]:
        """Return how many keys each set of lists has."""
        counted: Counter[int] = Counter()
        for _, numbers in self._parts:
            counted.update(numbers)
        return {self.sets[number]: count for number, count in counted.items()}

    @staticmethod
    def _checked(path: Path, view: memoryview) -> dict[str, Any]:
        if len(view) < _FOOTER.size:
            raise TableError(f"{path.name}: too short")
        body, footer = view[: -_FOOTER.size], view[-_FOOTER.size :]
        at_json, crc, magic = _FOOTER.unpack(footer)
        if magic != _MAGIC:
            raise TableError(f"{path.name}: not a table of this version")
        if zlib.crc32(body) != crc:
            raise TableError(f"{path.name}: damaged")
        data: dict[str, Any] = json.loads(bytes(body[at_json:]))
        return data


def _contents(data: dict[str, Any]) -> Contents:
    lists = (
        {**info, "categories": tuple(info["categories"]), "usage": tuple(info["usage"])}
        for info in data["lists"]
    )
    return Contents(
        compiled_at=data["compiled_at"],
        inputs=data["inputs"],
        lists=tuple(Info(**info) for info in lists),
        sets=tuple(map(tuple, data["sets"])),
        expressions=tuple((index, pattern) for index, pattern in data["expressions"]),
    )
