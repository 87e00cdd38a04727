"""What changed in a list, since when it names a site, and what lists have in common.

What lives only here: comparisons, between the edition in force and the one before it, and between
lists. Of a statutory list there are numbers only.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from appliance.config.problems import InWordsError
from appliance.lists.entries import EntryRefusedError, key_of, shown
from appliance.lists.formats_line import EXCEPTION, EXPRESSION
from appliance.lists.locked import FloorList
from appliance.lists.paths import Paths
from appliance.lists.store import Meta, Store, StoreError
from appliance.lists.table import Table


class HistoryError(InWordsError):
    """The comparison cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one edition added and removed. `old` and `new` are the dates of the two, `examples` entries."""

    list: str
    old: datetime
    new: datetime
    added: int
    removed: int
    examples_added: tuple[str, ...]
    examples_removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Common:
    """Two lists and how many entries stand in both; `first` and `second` are their own sizes."""

    lists: tuple[str, str]
    common: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Since:
    """Since when a list names something; `exact` where the edition before did not name it."""

    date: datetime
    exact: bool


def change(paths: Paths, list_id: str, most: int = 20) -> Change:
    """Compare a list's edition in force with the one before, with up to `most` examples of each kind.

    Raises `HistoryError`.
    """
    store = Store(paths)
    new, old = _in_force(store, list_id), store.last(list_id)
    if old is None:
        raise HistoryError(f"there is no earlier edition of {list_id!r} to compare with")
    before = set(_keys(store, old))
    added: list[str] = []
    count, seen = 0, set[str]()
    for key in _keys(store, new):
        if key in before:
            seen.add(key)
        elif key not in seen:
            seen.add(key)
            count += 1
            if len(added) < most:
                added.append(key)
    removed = before - seen
    return Change(
        list=list_id,
        old=old.imported_at,
        new=new.imported_at,
        added=count,
        removed=len(removed),
        examples_added=tuple(map(_shown, added)),
        examples_removed=tuple(map(_shown, sorted(removed)[:most])),
    )


def floor_change(lists: tuple[FloorList, ...], list_id: str) -> FloorList | None:
    """Return the statutory list of this id, which knows the numbers of its last change, if it is one."""
    return next((known for known in lists if known.id == list_id), None)


def since(paths: Paths, list_id: str, entry: str) -> Since | None:
    """Return since when an imported list has named `entry`, as far back as editions are kept."""
    store = Store(paths)
    wanted = {EXPRESSION + entry}
    with contextlib.suppress(EntryRefusedError):  # a regular expression is no address
        wanted.add(key_of(entry))
    try:
        new = _in_force(store, list_id)
        old = store.last(list_id)
        if old is None:
            return Since(new.imported_at, exact=False)
        named = any(key in wanted for key in _keys(store, old))
    except (HistoryError, StoreError, OSError):
        return None  # the answer of the table does not depend on it
    return Since(old.imported_at if named else new.imported_at, exact=not named)


def overlap(table: Path, most: int = 50) -> tuple[Common, ...]:
    """Return the pairs of lists with the most entries in common; raises `TableError`."""
    opened = Table(table)
    lists = opened.contents.lists
    fitting = {at for at, info in enumerate(lists) if info.excepts < 0}
    sizes: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for members, count in opened.set_counts().items():
        here = sorted(fitting.intersection(members))
        sizes.update(dict.fromkeys(here, count))
        pairs.update(dict.fromkeys(itertools.combinations(here, 2), count))
    return tuple(
        Common((lists[one].id, lists[two].id), count, sizes[one], sizes[two])
        for (one, two), count in pairs.most_common(most)
    )


def _in_force(store: Store, list_id: str) -> Meta:
    meta = store.get(list_id)
    if meta is None:
        raise HistoryError(f"{list_id!r} is no list that was imported or downloaded")
    return meta


def _keys(store: Store, meta: Meta) -> Iterator[str]:
    with store.keys_of(meta).open(encoding="ascii") as file:
        for line in file:
            yield line.rstrip("\n")


def _shown(key: str) -> str:
    if key.startswith(EXPRESSION):
        return key
    if key.startswith(EXCEPTION):
        return f"except {shown(key.removeprefix(EXCEPTION))}"
    return shown(key)
