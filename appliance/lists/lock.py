"""Turns statutory lists into keyed hashes; the one place where their entries are text, for a moment.

What lives only here: the way from a floor source to the locked file. Entries are held as
`Secret`, hashed at once, and never written, shown or put into an error. An entry that would
cover a help line or everybody's sites below a public suffix is left out and counted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.lists.catalogue import FloorEntry
from appliance.lists.expressions import covering, host_suffixes
from appliance.lists.locked import KEY_SIZE, FloorList, Manifest, digest_expression, digest_host
from appliance.lists.paths import PRIVATE, Paths, replacing
from appliance.lists.suffixes import public_suffixes
from appliance.lists.unpack import members
from appliance.model.secret import Secret
from appliance.model.url import Url, UrlRefusedError, canonical_path, parse_url

MOST_LISTS = 255


class _LeftOutError(ValueError):
    """This entry is not taken. It carries no text, so that none can be shown."""


@dataclass(slots=True)
class _Hashes:
    key: bytes
    hosts: set[bytes]
    entries: dict[bytes, int]


def lock_floor(
    sources: Sequence[tuple[FloorEntry, Path]], help_lines: Iterable[Url], paths: Paths, compiled_at: float
) -> Manifest:
    """Compile the floor's sources into the locked file, and make its key where there is none.

    `compiled_at` is the lists' date in seconds since 1970, from which their age is measured.
    Raises `SourceError` or `OSError`; the old file then stays.
    """
    hashes = _Hashes(_own_key(paths.floor_key), set(), {})
    kept_open = frozenset(_covering_all(help_lines))
    lists = tuple(
        _lock_list(entry, source, number, hashes, kept_open)
        for number, (entry, source) in enumerate(sources[:MOST_LISTS])
    )
    manifest = Manifest(compiled_at, lists, len(hashes.hosts), len(hashes.entries))
    head = json.dumps(asdict(manifest)).encode() + b"\n"
    records = (digest + bytes([number]) for digest, number in sorted(hashes.entries.items()))
    body = head + b"".join(sorted(hashes.hosts)) + b"".join(records)
    with replacing(paths.floor, PRIVATE) as file:
        file.write(body + hmac.digest(hashes.key, body, "sha256"))
    return manifest


def _lock_list(
    entry: FloorEntry, source: Path, number: int, hashes: _Hashes, kept_open: frozenset[str]
) -> FloorList:
    taken = left_out = 0
    version = hashlib.sha256()
    for secret in _secrets(source):
        version.update(secret.reveal().encode() + b"\n")
        try:
            _lock_entry(secret, number, hashes, kept_open)
            taken += 1
        except _LeftOutError:
            left_out += 1
    # The version is keyed like all else: an unkeyed hash of a short list could be guessed.
    keyed = hmac.digest(hashes.key, version.digest(), "sha256").hex()
    return FloorList(entry.id, entry.title, entry.category, entry.mode, f"hmac:{keyed[:12]}", taken, left_out)


def _lock_entry(secret: Secret, number: int, hashes: _Hashes, kept_open: frozenset[str]) -> None:
    text = secret.reveal().removeprefix("*.")
    try:
        url = parse_url(text if "://" in text else f"http://{text}")
    except UrlRefusedError:
        raise _LeftOutError from None
    path = canonical_path(url)
    if url.ip is None and path == "/" and url.host in public_suffixes():
        raise _LeftOutError
    if url.host + path in kept_open:
        raise _LeftOutError
    hashes.hosts.add(digest_host(hashes.key, url.host))
    hashes.entries.setdefault(digest_expression(hashes.key, url.host + path), number)


def _secrets(source: Path) -> Iterator[Secret]:
    for member in members(source):
        for line in member.lines:
            text = line.strip()
            if text and text[0] != "#":
                yield Secret(text)


def _covering_all(addresses: Iterable[Url]) -> Iterator[str]:
    for url in addresses:
        for host in host_suffixes(url):
            yield from covering(host, url)


def _own_key(path: Path) -> bytes:
    """Return the machine's key; a new one where there is none, for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size == KEY_SIZE:
        path.chmod(PRIVATE)
        return path.read_bytes()
    key = secrets.token_bytes(KEY_SIZE)
    with replacing(path, PRIVATE) as file:
        os.fchmod(file.fileno(), PRIVATE)
        file.write(key)
    return key
