"""Whether new data may be used: what a list must name, must not name, and how much it may change.

What lives only here: the checks between a download and the table. Each objection is a sentence that
`lists status` shows; with one or more of them everything stays as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import re2

from appliance.lists.entries import base_key, covers, host_key, listed_path
from appliance.lists.feeds import Demands
from appliance.lists.formats_line import EXCEPTION, EXPRESSION
from appliance.lists.reading import expression_options
from appliance.model.url import Url, UrlRefusedError, parse_typed

SMALL = 100
"""Entries below which a percentage says nothing: three more on a list of five are no accident."""


@dataclass(frozen=True, slots=True)
class Edition:
    """New data of one list. `before` is how many entries are in force now, None where there are none.

    `blocks` tells whether the list is about what schools block, so that it may not name `keep_open`.
    """

    id: str
    entries: int
    before: int | None
    blocks: bool
    keys: Path


@dataclass(frozen=True, slots=True)
class Watched:
    """Addresses that decide: canaries, what must not be named, and what must stay open."""

    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    keep_open: tuple[str, ...] = ()


def objections(editions: Sequence[Edition], demands: Demands, watched: Watched) -> list[str]:
    """Return everything that speaks against using the new data; nothing where it may be used."""
    found: list[str] = []
    for edition in editions:
        found += size_objections(edition.id, edition.entries, edition.before, demands)
    total = sum(edition.entries for edition in editions)
    if total < demands.minimum_entries:
        found.append(f"only {total} usable entries; at least {demands.minimum_entries} are expected")
    return found + list(_name_objections(editions, watched))


def size_objections(name: str, entries: int, before: int | None, demands: Demands) -> Iterator[str]:
    """Yield why the change of a list's size is beyond what is borne."""
    if before is None or before < SMALL:
        return
    change = 100.0 * (entries - before) / before
    told = f"{name}: {entries} entries, and {before} before"
    if -change > demands.max_shrink_percent:
        yield f"{told}: shrunk by {-change:.0f} % (at most {demands.max_shrink_percent:g} % is taken)"
    if change > demands.max_growth_percent:
        yield f"{told}: grown by {change:.0f} % (at most {demands.max_growth_percent:g} % is taken)"


def _name_objections(editions: Sequence[Edition], watched: Watched) -> Iterator[str]:
    must, must_not, keep = (_parsed(part) for part in (watched.must, watched.must_not, watched.keep_open))
    missing = set(must)
    for edition in editions:
        asked = {**must, **must_not, **(keep if edition.blocks else {})}
        with edition.keys.open(encoding="ascii") as file:
            named = named_by((line.rstrip("\n") for line in file), asked)
        missing -= named
        wrong = sorted(named & (must_not.keys() | keep.keys()) - must.keys())
        if wrong:
            yield f"{edition.id}: names {', '.join(wrong[:5])}, which must stay open"
    if missing:
        yield f"does not name {', '.join(sorted(missing)[:5])}, which it must"


def named_by(keys: Iterable[str], addresses: dict[str, Url]) -> set[str]:
    """Return which addresses a list with these keys names, as the compiled table would."""
    wanted = _wanted(addresses)
    named: set[str] = set()
    taken_back: set[str] = set()
    for key in keys:
        if key in wanted:
            named |= wanted[key]
        elif key.startswith(EXCEPTION):
            taken_back |= wanted.get(key.removeprefix(EXCEPTION), set())
        elif key.startswith(EXPRESSION):
            named |= _expressed(key.removeprefix(EXPRESSION), addresses)
    return named - taken_back


def _wanted(addresses: dict[str, Url]) -> dict[str, set[str]]:
    """Return every key that would name one of the addresses, with those addresses."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for name, url in addresses.items():
        host = host_key(url)
        for end in range(1, len(host) + 1):
            wanted[host[:end]].add(name)
        # A page that is listed under a parent's name counts for every site below it.
        parents = {host[: at + 1] for at, mark in enumerate(host) if mark == "." and url.ip is None}
        for base in {base_key(url)} | parents:
            whole = base + listed_path(url)
            for end in range(len(base) + 1, len(whole) + 1):
                if covers(whole[:end], whole):
                    wanted[whole[:end]].add(name)
    return dict(wanted)


def _expressed(pattern: str, addresses: dict[str, Url]) -> set[str]:
    try:
        found = re2.compile(pattern, expression_options())
    except re2.error:
        return set()
    return {name for name, url in addresses.items() if found.search(url.host + listed_path(url))}


def _parsed(texts: tuple[str, ...]) -> dict[str, Url]:
    found = {}
    for text in texts:
        try:
            found[text] = parse_typed(text)
        except UrlRefusedError:
            continue  # the catalogue's own check tells of it
    return found
