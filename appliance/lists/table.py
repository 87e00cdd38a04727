"""One compiled file that every worker maps: from a key to the lists that hold it.

What lives only here: the layout of the table file. It is a marisa trie of all keys, then for
each key's number the number of a set of lists, then the sets and lists themselves as JSON, then
a footer. The trie and the numbers are read where they lie in the page cache, so ten workers
hold one copy.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import mmap
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Protocol

import marisa_trie

from appliance.lists.formats_line import EXCEPTION, EXPRESSION
from appliance.lists.paths import replacing

_MAGIC = b"LISTS\x00v1"
_FOOTER = struct.Struct("<QQQQcI8s")  # trie bytes, keys, start of numbers, start of JSON, width, CRC, magic
_CHUNK = 1 << 20
_ALIGNED = 8
_LEVELS = 1
"""Of the trie: each more saves a byte or less a name, and costs a third of the speed."""
_MARKS = EXPRESSION[0] + EXCEPTION[0]

HAS_URLS = -1
"""A member of a key's set that is no list: some list has URLs on this host."""


class TableError(ValueError):
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


class Keys(Protocol):
    """One list's keys; iterated more than once."""

    def __iter__(self) -> Iterator[str]:
        """Yield each key (doubles allowed), without a line end."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The keys of one list in a file, one a line."""

    path: Path

    def __iter__(self) -> Iterator[str]:
        with self.path.open(encoding="ascii", newline="\n") as file:
            for line in file:
                yield line[:-1]


@dataclass(slots=True)
class _Sets:
    """Numbers the sets of lists as they turn up: few, since lists overlap in few ways."""

    sets: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    numbers: dict[tuple[int, ...], int] = field(default_factory=lambda: {(): 0})

    def with_one(self, number: int, member: int) -> int:
        """Return the number of the set `number` with `member` added."""
        old = self.sets[number]
        if member in old:
            return number
        new = tuple(sorted((*old, member)))
        if new not in self.numbers:
            self.numbers[new] = len(self.sets)
            self.sets.append(new)
        return self.numbers[new]


def write_table(path: Path, lists: Sequence[tuple[Info, Keys]], compiled_at: float, inputs: str) -> Contents:
    """Compile `lists` into `path`, which is replaced when the new table is whole.

    `compiled_at` is seconds since 1970, `inputs` a fingerprint of the sources. The same arguments
    give the same bytes. Needs about 110 bytes of memory a key.
    """
    special: list[tuple[int, str]] = []
    trie = marisa_trie.Trie(_all_keys(lists, special), num_tries=_LEVELS)
    infos, shadows = _with_shadows([info for info, _ in lists], special)
    numbers, sets = _numbered(trie, [*((index, keys) for index, (_, keys) in enumerate(lists)), *shadows])
    expressions = tuple(
        (index, key[len(EXPRESSION) :]) for index, key in special if key.startswith(EXPRESSION)
    )
    contents = Contents(compiled_at, inputs, infos, tuple(sets.sets), expressions)
    with replacing(path) as file:
        _write(file, path, trie, numbers, contents)
    return contents


type _Members = list[tuple[int, Iterable[str]]]


def _all_keys(lists: Sequence[tuple[Info, Keys]], special: list[tuple[int, str]]) -> Iterator[str]:
    """Yield the keys of the trie; add exceptions and expressions, with their list, to `special`."""
    for index, (_, keys) in enumerate(lists):
        for key in keys:
            if key[0] in _MARKS:
                special.append((index, key))
                if key[0] == _MARKS[0]:
                    continue
                key = key[len(EXCEPTION) :]  # noqa: PLW2901 - an exception is looked up like any entry
            yield key
            if _is_url(key):
                yield _host_of(key)


def _with_shadows(infos: list[Info], special: list[tuple[int, str]]) -> tuple[tuple[Info, ...], _Members]:
    """Give each list that takes entries back a shadow list that holds those."""
    taken_back: dict[int, list[str]] = {}
    for index, key in special:
        if key.startswith(EXCEPTION):
            taken_back.setdefault(index, []).append(key[len(EXCEPTION) :])
    members: _Members = []
    for index, keys in taken_back.items():
        info = infos[index]
        members.append((len(infos), keys))
        infos.append(Info(info.id, info.title, info.version, (), info.use, excepts=index))
    return tuple(infos), members


def _is_url(key: str) -> bool:
    return "/" in key and key[1] != "/"  # the key of a network has its slash second


def _host_of(key: str) -> str:
    base = key.partition("/")[0]
    if base[0] != "=":
        return base
    ip = ipaddress.ip_address(base[1:-1])
    return f"{ip.version}/{int(ip):0{ip.max_prefixlen}b}"


def _numbered(trie: marisa_trie.Trie, members: _Members) -> tuple[array[int], _Sets]:
    sets = _Sets()
    numbers = array("I", bytes(4 * len(trie)))
    key_id = trie.key_id
    for index, keys in members:
        first = sets.with_one(0, index)
        for key in keys:
            if key[0] in _MARKS:
                continue
            at = key_id(key)
            old = numbers[at]
            numbers[at] = sets.with_one(old, index) if old else first
            if "/" in key and _is_url(key):
                at = key_id(_host_of(key))
                numbers[at] = sets.with_one(numbers[at], HAS_URLS)
    return numbers, sets


def _write(
    file: IO[bytes], path: Path, trie: marisa_trie.Trie, numbers: array[int], contents: Contents
) -> None:
    draft = path.with_name(f".{path.name}.trie")
    try:
        _save(trie, draft)
        with draft.open("rb") as saved:
            while chunk := saved.read(_CHUNK):
                file.write(chunk)
    finally:
        draft.unlink(missing_ok=True)
    size = file.tell()
    file.write(bytes(-size % _ALIGNED))
    at_numbers = file.tell()
    narrow = len(contents.sets) <= 0xFFFF  # noqa: PLR2004 - what two bytes hold
    file.write((array("H", numbers) if narrow else numbers).tobytes())
    at_json = file.tell()
    file.write(json.dumps(asdict(contents), separators=(",", ":")).encode())
    file.flush()
    file.seek(0)
    crc = 0
    while chunk := file.read(_CHUNK):
        crc = zlib.crc32(chunk, crc)
    width = b"H" if narrow else b"I"
    file.write(_FOOTER.pack(size, len(trie), at_numbers, at_json, width, crc, _MAGIC))


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
        size, keys, at_numbers, at_json, width = self._checked(path, view)
        self._trie = marisa_trie.Trie().map(self._map)
        if len(self._trie) != keys:
            raise TableError(f"{path.name}: holds {len(self._trie)} keys instead of {keys}")
        if width == b"H":
            self._numbers = view[at_numbers : at_numbers + 2 * keys].cast("H")
        else:
            self._numbers = view[at_numbers : at_numbers + 4 * keys].cast("I")
        self.contents = _contents(bytes(view[at_json : -_FOOTER.size]))
        self.sets = self.contents.sets
        self.size = len(view)
        self.trie_size = size

    def __len__(self) -> int:
        return len(self._numbers)

    def prefixes(self, key: str) -> list[tuple[str, tuple[int, ...]]]:
        """Return each key of the table that is a prefix of `key`, shortest first, with its lists."""
        numbers, sets = self._numbers, self.sets
        return [(found, sets[numbers[at]]) for found, at in self._trie.iter_prefixes_with_ids(key)]

    @staticmethod
    def _checked(path: Path, view: memoryview) -> tuple[int, int, int, int, bytes]:
        if len(view) < _FOOTER.size:
            raise TableError(f"{path.name}: too short")
        body, footer = view[: -_FOOTER.size], view[-_FOOTER.size :]
        size, keys, at_numbers, at_json, width, crc, magic = _FOOTER.unpack(footer)
        if magic != _MAGIC:
            raise TableError(f"{path.name}: not a table of this version")
        if zlib.crc32(body) != crc:
            raise TableError(f"{path.name}: damaged")
        return size, keys, at_numbers, at_json, width


def _contents(raw: bytes) -> Contents:
    data = json.loads(raw)
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
