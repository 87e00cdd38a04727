"""Turns statutory lists into keyed hashes; the one place where their entries are text, for a moment.

What lives only here: the way from a floor source to the locked file. Entries are held as
`Secret`, hashed at once, and never written, shown or put into an error. An entry that would
cover a help line or everybody's sites below a public suffix is left out and counted. A list that
nobody supplied anew keeps its hashes and its date.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from appliance.config.problems import InWordsError
from appliance.lists.checks import size_objections
from appliance.lists.expressions import covering, host_suffixes, listed
from appliance.lists.feeds import FloorEntry
from appliance.lists.locked import (
    FORMAT,
    KEY_SIZE,
    Contents,
    FloorList,
    FloorUnavailableError,
    Manifest,
    digest_beginning,
    digest_expression,
    digest_host,
)
from appliance.lists.paths import PRIVATE, Paths, make_folder, replacing
from appliance.lists.suffixes import public_suffixes
from appliance.lists.unpack import members
from appliance.model.secret import Secret
from appliance.model.url import Url, UrlRefusedError, parse_url

MOST_LISTS = 255


class FloorRefusedError(InWordsError):
    """A statutory list that was supplied is not taken; what was in force stays. It holds no entry."""


class _LeftOutError(ValueError):
    """This entry is not taken. It carries no text, so that none can be shown."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What was supplied of one list just now, and its date; no date where a proof has failed."""

    dated: float
    entries: Iterable[Secret] = ()


@dataclass(frozen=True, slots=True)
class _Rules:
    """What an entry is held against. An entry of `refused` makes the whole list suspect."""

    key: bytes
    left_out: frozenset[str]
    refused: frozenset[str]


@dataclass(slots=True)
class _Locked:
    """The hashes of one list, and its account."""

    about: FloorList
    hosts: set[bytes] = field(default_factory=set)
    entries: set[bytes] = field(default_factory=set)
    format: int = FORMAT


def lock_floor(
    sources: Sequence[tuple[FloorEntry, Path | None]],
    help_lines: Iterable[Url],
    paths: Paths,
    compiled_at: float,
    *,
    fresh: Mapping[str, Fresh] | None = None,
    keep_open: Iterable[Url] = (),
) -> Manifest:
    """Compile the floor's sources into the locked file, and make its key where there is none.

    A development list comes from its file, dated `compiled_at` (seconds since 1970); any other from
    `fresh`, and where it is not there, from the file as it was. Raises `FloorRefusedError` where new
    data is not to be trusted, `SourceError` or `OSError`; the old file then stays.
    """
    key = _own_key(paths.floor_key)
    rules = _Rules(key, frozenset(_covering_all(help_lines)), frozenset(_covering_all(keep_open)))
    before = _before(paths)
    locked = [
        _lock_list(entry, source, before.get(entry.id), rules, compiled_at, (fresh or {}).get(entry.id))
        for entry, source in sources[:MOST_LISTS]
    ]
    hosts = _records([one.hosts for one in locked])
    entries = _records([one.entries for one in locked])
    lists = tuple(one.about for one in locked)
    # One list that is kept as an older release locked it makes the file one of before.
    form = min((one.format for one in locked), default=FORMAT)
    manifest = Manifest(compiled_at, lists, len(hosts), len(entries), form)
    body = json.dumps(asdict(manifest)).encode() + b"\n" + b"".join(hosts) + b"".join(entries)
    with replacing(paths.floor, PRIVATE) as file:
        file.write(body + hmac.digest(key, body, "sha256"))
    return manifest


def _records(parts: list[set[bytes]]) -> list[bytes]:
    return sorted(digest + bytes([number]) for number, part in enumerate(parts) for digest in part)


def _before(paths: Paths) -> dict[str, _Locked]:
    """Return what is locked now, by list; nothing where it cannot be read, which closes the gate."""
    with contextlib.suppress(FloorUnavailableError, ValueError, TypeError, KeyError, LookupError):
        contents = Contents(paths)
        return {
            about.id: _Locked(about, *contents.of_list(number), contents.manifest.format)
            for number, about in enumerate(contents.manifest.lists)
        }
    return {}


def _lock_list(
    entry: FloorEntry,
    source: Path | None,
    before: _Locked | None,
    rules: _Rules,
    now: float,
    fresh: Fresh | None,
) -> _Locked:
    if before is not None and before.about.mode != entry.mode:
        before = None  # what another kind of custody left behind proves nothing
    if fresh is None and source is not None:
        fresh = Fresh(now, _secrets(source))
    about = FloorList(entry.id, entry.title, entry.category, entry.mode, "", 0, 0)
    if fresh is None:
        old = before or _Locked(about)
        kept = replace(old.about, title=entry.title, category=entry.category)
        return _Locked(kept, old.hosts, old.entries, old.format)
    new = _Locked(about)
    _take(new, fresh.entries, rules)
    if entry.mode == "supplied":
        _demand(entry, new, before)
    new.about = _told(new, before, fresh.dated, now)
    return new


def _take(new: _Locked, entries: Iterable[Secret], rules: _Rules) -> None:
    taken = left_out = 0
    version = hashlib.sha256()
    for secret in entries:
        version.update(secret.reveal().encode() + b"\n")
        try:
            _lock_entry(secret, new, rules)
            taken += 1
        except _LeftOutError:
            left_out += 1
    # The version is keyed like all else: an unkeyed hash of a short list could be guessed.
    keyed = hmac.digest(rules.key, version.digest(), "sha256").hex()
    new.about = replace(new.about, version=f"hmac:{keyed[:12]}", entries=taken, quarantined=left_out)


def _demand(entry: FloorEntry, new: _Locked, before: _Locked | None) -> None:
    count = new.about.entries
    known = before.about.entries if before and before.about.dated else None
    problems = list(size_objections(entry.id, count, known, entry))
    if count < entry.minimum_entries:
        problems.append(f"only {count} usable entries; at least {entry.minimum_entries} are expected")
    if problems:
        raise FloorRefusedError("; ".join(problems))


def _told(new: _Locked, before: _Locked | None, dated: float, now: float) -> FloorList:
    """Return the account with what has changed since; of no change, with the last one."""
    old = before.entries if before else set[bytes]()
    added, removed = len(new.entries - old), len(old - new.entries)
    if before is not None and not added and not removed:
        last = before.about
        return replace(
            new.about, dated=dated, changed_at=last.changed_at, added=last.added, removed=last.removed
        )
    return replace(new.about, dated=dated, changed_at=now, added=added, removed=removed)


def _lock_entry(secret: Secret, new: _Locked, rules: _Rules) -> None:
    text = secret.reveal().removeprefix("*.")
    try:
        url = parse_url(text if "://" in text else f"http://{text}")
    except UrlRefusedError:
        raise _LeftOutError from None
    expression, beginnings = listed(url)
    if url.ip is None and expression == f"{url.host}/" and url.host in public_suffixes():
        raise _LeftOutError
    if expression in rules.left_out:
        raise _LeftOutError
    if expression in rules.refused:
        raise FloorRefusedError("the list names a whole site that must stay open (keep_open)")
    new.hosts.add(digest_host(rules.key, url.host))
    new.hosts.update(digest_beginning(rules.key, text) for text in beginnings)
    new.entries.add(digest_expression(rules.key, expression))


def _secrets(source: Path) -> Iterator[Secret]:
    for member in members(source):
        yield from secrets_in(member.lines)


def secrets_in(lines: Iterable[str]) -> Iterator[Secret]:
    """Yield the entries of a statutory list's lines, comments left out."""
    for line in lines:
        text = line.strip()
        if text and text[0] != "#":
            yield Secret(text)


def _covering_all(addresses: Iterable[Url]) -> Iterator[str]:
    for url in addresses:
        for host in host_suffixes(url):
            yield from covering(host, url)


def _own_key(path: Path) -> bytes:
    """Return the machine's key; a new one where there is none, for its owner alone."""
    make_folder(path.parent)
    if path.exists() and path.stat().st_size == KEY_SIZE:
        path.chmod(PRIVATE)
        return path.read_bytes()
    key = secrets.token_bytes(KEY_SIZE)
    with replacing(path, PRIVATE) as file:
        os.fchmod(file.fileno(), PRIVATE)
        file.write(key)
    return key
