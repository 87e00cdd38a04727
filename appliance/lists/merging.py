"""Many lists' keys in, each key once with the set of the lists that hold it out.

What lives only here: the merge, and how keys are shared out over the parts of a table. The
largest list is never held in memory: its keys are what has no other number, so only the keys of
the other lists are looked at one by one.
"""

from __future__ import annotations

import ipaddress
import itertools
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import IO, Protocol, runtime_checkable

import marisa_trie

from appliance.lists.formats_line import EXCEPTION, EXPRESSION

HAS_URLS = -1
"""A member of a key's set that is no list: some list has URLs on this host."""

_BATCH = 1 << 15
_LEVELS = 1
"""Of the trie: each more saves a byte or less a name, and costs a third of the speed."""
_CACHE = marisa_trie.HUGE_CACHE
"""Of the ways from the root that most keys take: 0.1 bytes a name, and names are found a tenth sooner."""
_MARKS = EXPRESSION[0] + EXCEPTION[0]
_EVERYWHERE = -1


class Keys(Protocol):
    """One list's keys; iterated more than once."""

    def __iter__(self) -> Iterator[str]:
        """Yield each key (doubles allowed), without a line end."""


@runtime_checkable
class Blocks(Protocol):
    """Keys that can be had many at once, as text: what looks at each for itself costs too much."""

    def blocks(self) -> Iterator[str]:
        """Yield keys with a line end between each two."""


def blocks_of(keys: Keys) -> Iterator[str]:
    """Yield the keys as blocks of text, a line end between each two."""
    if isinstance(keys, Blocks):
        return keys.blocks()
    return ("\n".join(batch) for batch in itertools.batched(keys, _BATCH))


@dataclass(slots=True)
class Sets:
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


class _WithOne(dict[int, int]):
    """From the number of a set to that of the set with one member more, remembered for millions of keys."""

    def __init__(self, sets: Sets, member: int) -> None:
        self._sets = sets
        self._member = member

    def __missing__(self, number: int) -> int:
        self[number] = more = self._sets.with_one(number, self._member)
        return more


@dataclass(slots=True)
class Special:
    """What is not looked up as it stands, by the list's number: expressions, and keys taken back.

    `with_urls` are the lists that have URLs.
    """

    expressions: list[tuple[int, str]] = field(default_factory=list)
    taken_back: dict[int, list[str]] = field(default_factory=dict)
    with_urls: set[int] = field(default_factory=set)


def special(lists: Sequence[Keys]) -> Special:
    """Look through all lists for what is not a plain key."""
    found = Special()
    for index, keys in enumerate(lists):
        for block in blocks_of(keys):
            if not ("/" in block or any(mark in block for mark in _MARKS)):
                continue  # as in nearly all of a list's blocks
            for key in block.split("\n"):
                if key[0] == EXPRESSION[0]:
                    found.expressions.append((index, key[len(EXPRESSION) :]))
                    continue
                if key[0] == EXCEPTION[0]:
                    found.taken_back.setdefault(index, []).append(key[len(EXCEPTION) :])
                if _is_url(key):
                    found.with_urls.add(index)
    return found


def part_of(key: str, parts: int) -> int:
    """Return in which of several parts a key stands, with all that covers it; -1 for in each of them.

    The first two labels decide that: a host and its sub-domains must stay together.
    """
    if key[0] == "=" or key[1:2] == "/":
        return 0  # addresses by number: few
    base = key.partition("/")[0]
    second = base.find(".", base.find(".") + 1)
    return zlib.crc32(base[:second].encode()) % parts if second > 0 else _EVERYWHERE


def split(keys: Keys, files: Sequence[IO[str]]) -> None:
    """Write each key, one a line, to the file of its part."""
    parts = len(files)
    for batch in itertools.batched(keys, _BATCH):
        shares: list[list[str]] = [[] for _ in range(parts + 1)]  # the last is for those in each part
        for key in batch:
            shares[part_of(key, parts)].append(key)
        for file, share in zip(files, shares, strict=False):
            if lines := share + shares[_EVERYWHERE]:
                file.write("\n".join(lines) + "\n")


def merge(
    lists: Sequence[Keys], taken_back: Sequence[Keys], with_urls: AbstractSet[int], largest: int, sets: Sets
) -> Merged:
    """Merge the lists, or one part of each, into a trie and, for each of its keys, the number of a set.

    `largest` is the list that is expected to have most keys, `with_urls` are those that have URLs.
    What a list takes back is a list of its own, numbered after the `lists`. Needs
    about 110 bytes of memory a key.
    """
    work = _Merge(sets)
    for index, keys in enumerate(lists):
        if index != largest:
            work.add(index, keys, has_urls=index in with_urls)
    for index, back in enumerate(taken_back, len(lists)):
        work.add(index, back, has_urls=True)
    rest: Iterator[str] = iter(())
    if lists:
        rest = work.noted(largest, lists[largest], has_urls=largest in with_urls)
    trie = marisa_trie.Trie(
        itertools.chain(work.known, rest),
        num_tries=_LEVELS,
        cache_size=_CACHE,
        order=marisa_trie.WEIGHT_ORDER,
    )
    default = sets.with_one(0, largest) if len(trie) > len(work.known) else 0
    numbers = array("I", [default]) * len(trie)
    for at, number in zip(map(trie.key_id, work.known), work.known.values(), strict=True):
        numbers[at] = number
    return trie, numbers


type Merged = tuple[marisa_trie.Trie, array[int]]


class _Merge:
    """The keys of all lists but the largest, each with the number of its set."""

    def __init__(self, sets: Sets) -> None:
        self.known: dict[str, int] = {}
        self._sets = sets

    def add(self, index: int, keys: Iterable[str], *, has_urls: bool) -> None:
        """Take up all keys of a list."""
        known, with_it = self.known, _WithOne(self._sets, index)
        first = with_it[0]
        for batch in self.batches(keys):
            new = dict.fromkeys(batch, first)
            # In the order of the list, so that the same lists always give the same numbers.
            again = list(filter(known.__contains__, new))
            new.update(zip(again, map(with_it.__getitem__, map(known.__getitem__, again)), strict=True))
            known |= new
            if has_urls:
                self._note_urls(batch)

    def noted(self, index: int, keys: Iterable[str], *, has_urls: bool) -> Iterator[str]:
        """Yield all keys of a list that is not taken up; the known ones are noted while that is done."""
        if has_urls:  # known before the first is yielded: what takes these up has all that is known by then
            for batch in self.batches(keys):
                self._note_urls(batch)
        return itertools.chain.from_iterable(self._noting(index, keys))

    def _noting(self, index: int, keys: Iterable[str]) -> Iterator[Sequence[str]]:
        known, with_it = self.known, _WithOne(self._sets, index)
        for batch in self.batches(keys):
            again = list(filter(known.__contains__, batch))
            known.update(zip(again, map(with_it.__getitem__, map(known.__getitem__, again)), strict=True))
            yield batch

    def batches(self, keys: Iterable[str]) -> Iterator[Sequence[str]]:
        """Yield the keys that are looked up."""
        for block in blocks_of(keys):
            batch = block.split("\n")
            if any(mark in block for mark in _MARKS):
                batch = [key for key in batch if key[0] not in _MARKS]
            yield batch

    def _note_urls(self, batch: Sequence[str]) -> None:
        for key in batch:
            if "/" in key and _is_url(key):
                host = _host_of(key)
                self.known[host] = self._sets.with_one(self.known.get(host, 0), HAS_URLS)


def _is_url(key: str) -> bool:
    return "/" in key and key[1] != "/"  # the key of a network has its slash second


def _host_of(key: str) -> str:
    base = key.partition("/")[0]
    if base[0] != "=":
        return base
    ip = ipaddress.ip_address(base[1:-1])
    return f"{ip.version}/{int(ip):0{ip.max_prefixlen}b}"
