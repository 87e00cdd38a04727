"""The statutory lists, as keyed hashes only: what must not be seen is not there to be seen.

What lives only here: the file of the floor and its key, and the question whether it names an
address. The file holds 16 bytes of HMAC-SHA256 for each canonical expression (Safe Browsing
v4), with the number of its list, sorted; no entry and no address. It is not browsable: whoever
holds file and key can still test guesses. A floor that is missing, unreadable or stale says so,
and the gate closes.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2s
from pathlib import Path
from typing import Any

from appliance.lists.expressions import covering, covering_before, host_suffixes, joined, parameters, queried
from appliance.lists.paths import Paths
from appliance.model.known import Floor, FloorState
from appliance.model.url import Url

DIGEST = 16
"""Bytes of each hash that are kept."""
RECORD = DIGEST + 1
"""Bytes of each record: a hash, and the number of the list that it is of."""
SEAL = 32
"""Bytes at the end that prove the file whole and made with this key."""
KEY_SIZE = 32
FORMAT = 3
"""The way in which the file is written; a file written in another way is not read."""
BEFORE = 2
"""The way before: some of its expressions are in older forms. It is read, until all is locked anew."""
DEVELOPMENT = "development list: this is not compliance (DFE-F3)"
"""What every report says while the synthetic list is in force."""

MODES = ("development", "upstream", "supplied")
"""How a statutory list can be held, the weakest first."""

_OTHERS_MAY_READ = 0o077
_MOST_HOSTS = 4096
_CLOCK_ERROR = 24 * 3600.0
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class FloorList:
    """What may be said of one statutory list.

    `dated` is the source's own date, or the last proof's where an upstream provider enforces it, in
    seconds since 1970; 0 where there has been none. `added` and `removed` are of the last change.
    """

    id: str
    title: str
    category: str
    mode: str
    version: str
    entries: int
    quarantined: int
    dated: float = 0.0
    changed_at: float = 0.0
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the file says of itself. `compiled_at` is seconds since 1970."""

    compiled_at: float
    lists: tuple[FloorList, ...] = ()
    hosts: int = 0
    entries: int = 0
    format: int = FORMAT

    @property
    def dated(self) -> float:
        """The date of the oldest list, from which the floor's age is measured."""
        return min((known.dated for known in self.lists), default=0.0)

    @property
    def newest(self) -> float:
        """The date of the newest list: a date in the future would keep a list fresh for years."""
        return max((known.dated for known in self.lists), default=0.0)

    @property
    def absent(self) -> tuple[FloorList, ...]:
        """The lists that are wanted, but were never supplied or are not proved."""
        return tuple(known for known in self.lists if not known.dated)

    @property
    def mode(self) -> str:
        """The weakest way in which a list is held: one that is synthetic makes the whole so."""
        modes = {known.mode for known in self.lists}
        return next((mode for mode in MODES if mode in modes), "")

    @property
    def synthetic(self) -> bool:
        """True while any list is the development one."""
        return any(known.mode == "development" for known in self.lists)


def manifest_of(data: dict[str, Any]) -> Manifest:
    """Return the manifest that was written as JSON; raises `TypeError` or `KeyError` for any other."""
    return Manifest(**{**data, "lists": tuple(FloorList(**item) for item in data["lists"])})


class FloorUnavailableError(Exception):
    """The floor cannot be relied on: in which way (`state`), and in words."""

    def __init__(self, state: FloorState, words: str) -> None:
        super().__init__(words)
        self.state = state


def digest_host(key: bytes, host: str) -> bytes:
    """Return the kept hash of a host that has entries.

    Keyed BLAKE2 here: every host that is asked for goes through this, and HMAC costs five times that.
    """
    return blake2s(host.encode(), digest_size=DIGEST, key=key, person=b"host").digest()


def digest_expression(key: bytes, expression: str) -> bytes:
    """Return the kept hash of one canonical expression."""
    return hmac.digest(key, b"expression\0" + expression.encode(), "sha256")[:DIGEST]


def digest_beginning(key: bytes, text: str) -> bytes:
    """Return the kept hash of a beginning of entries with a query; it stands among the hosts."""
    return blake2s(text.encode(), digest_size=DIGEST, key=key, person=b"query").digest()


class Contents:
    """An opened floor file, checked against its seal."""

    def __init__(self, paths: Paths) -> None:
        self.key = _key(paths.floor_key)
        raw = _bytes(paths.floor)
        body, seal = raw[:-SEAL], raw[-SEAL:]
        if not hmac.compare_digest(hmac.digest(self.key, body, "sha256"), seal):
            raise FloorUnavailableError(
                FloorState.UNREADABLE, "the floor is damaged, or its key is another's"
            )
        head, _, records = body.partition(b"\n")
        data = json.loads(head)
        self.manifest = manifest_of(data)
        if data.get("format") not in (FORMAT, BEFORE):
            raise FloorUnavailableError(FloorState.UNREADABLE, "the floor was compiled by another version")
        end = self.manifest.hosts * RECORD
        self.host_records, self.records = records[:end], records[end:]
        if len(self.records) != self.manifest.entries * RECORD:
            raise FloorUnavailableError(FloorState.UNREADABLE, "the floor is damaged")
        self.hosts = frozenset(self.host_records[at : at + DIGEST] for at in range(0, end, RECORD))
        self._count = self.manifest.entries
        self._covering = covering if self.manifest.format == FORMAT else covering_before

    def of_list(self, number: int) -> tuple[set[bytes], set[bytes]]:
        """Return the hashes of one list: of its hosts, and of its expressions."""
        return _hashes(self.host_records, number), _hashes(self.records, number)

    def find_covering(self, host: str, url: Url) -> FloorList | None:
        """Return the list that holds an entry on `host`, or below it, that covers `url`."""
        for expression in self._covering(host, url):
            if found := self.find(digest_expression(self.key, expression)):
                return found
        return self.find_queried(host, url) if url.query else None

    def find_queried(self, host: str, url: Url) -> FloorList | None:
        """Return the list that holds an entry with a query, all of whose parameters `url` has.

        Only beginnings that lead to an entry are followed, so the work grows with the parameters of the
        address, and with the entries that share them, but never with their combinations.
        """
        waiting = [(text, 0) for text in queried(host, url) if self._begins(text)]
        found = parameters(url) if waiting else ()
        while waiting:
            text, start = waiting.pop()
            for at in range(start, len(found)):
                longer = joined(text, found[at])
                if self._begins(longer):
                    if listed := self.find(digest_expression(self.key, longer)):
                        return listed
                    waiting.append((longer, at + 1))
        return None

    def _begins(self, text: str) -> bool:
        return digest_beginning(self.key, text) in self.hosts

    def find(self, digest: bytes) -> FloorList | None:
        """Return the list that holds the expression with this hash."""
        low, high, width = 0, self._count, RECORD
        while low < high:
            middle = (low + high) // 2
            if self.records[middle * width : middle * width + DIGEST] < digest:
                low = middle + 1
            else:
                high = middle
        record = self.records[low * width : (low + 1) * width]
        return self.manifest.lists[record[DIGEST]] if record[:DIGEST] == digest else None


class LockedFloor:
    """The statutory lists as a worker holds them."""

    def __init__(self, paths: Paths, max_age_hours: float, clock: Callable[[], float] = time.time) -> None:
        self._paths = paths
        self._max_age = max_age_hours * _HOUR
        self._clock = clock
        self._contents: Contents | None = None
        self._dated = self._newest = 0.0
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._answers: dict[FloorState, Floor] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again; whatever stands in its way becomes the state."""
        self._hosts = {}
        self._contents = None
        try:
            self._contents = Contents(self._paths)
            manifest = self._contents.manifest
            self._dated, self._newest = manifest.dated, manifest.newest
            detail, broken = (DEVELOPMENT if manifest.synthetic else ""), FloorState.UNREADABLE
        except FloorUnavailableError as error:
            detail, broken = str(error), error.state
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, the gate closes
            detail, broken = f"the floor cannot be read ({type(error).__name__})", FloorState.UNREADABLE
        self._broken = Floor(broken, detail=detail)
        stale = f"the floor is older than {self._max_age / _HOUR:g} hours, or dated in the future"
        self._answers = {
            FloorState.OK: Floor(FloorState.OK, detail=detail),
            FloorState.STALE: Floor(FloorState.STALE, detail=f"{stale}; {detail}" if detail else stale),
            FloorState.MISSING: Floor(FloorState.MISSING, detail=self._absent()),
        }

    @property
    def manifest(self) -> Manifest | None:
        """What may be said of the lists in force, if they could be read."""
        return self._contents.manifest if self._contents else None

    def state(self) -> Floor:
        """Return whether the floor can be relied upon now, about no address."""
        if self._contents is None:
            return self._broken
        if not self._dated:
            return self._answers[FloorState.MISSING]
        now = self._clock()
        fresh = now - self._dated <= self._max_age and self._newest - now <= _CLOCK_ERROR
        return self._answers[FloorState.OK if fresh else FloorState.STALE]

    def check(self, url: Url) -> Floor:
        """Return the lists' answer for `url`: a hit counts even when the floor is stale."""
        contents, answer = self._contents, self.state()
        if contents is None:
            return answer
        hosts = self._hosts.get(url.host)
        if hosts is None:
            hosts = self._listed(contents, url)
        for host in hosts:
            if found := contents.find_covering(host, url):
                return replace(answer, list=found.id, version=found.version, category=found.category)
        return answer

    def _absent(self) -> str:
        absent = self._contents.manifest.absent if self._contents else ()
        whys = {"upstream": "is not proved to be enforced upstream"}
        return "; ".join(
            f"the list {known.id} {whys.get(known.mode, 'was never supplied')}" for known in absent
        )

    def has_urls_on(self, url: Url) -> bool:
        """Tell whether another path on the same host could have another answer."""
        return self._contents is not None and bool(self._hosts.get(url.host, ("not asked yet",)))

    def _listed(self, contents: Contents, url: Url) -> tuple[str, ...]:
        """Return the suffixes of the host below which something is listed: nearly always none."""
        if len(self._hosts) >= _MOST_HOSTS:
            self._hosts.clear()
        hosts = tuple(
            host for host in host_suffixes(url) if digest_host(contents.key, host) in contents.hosts
        )
        self._hosts[url.host] = hosts
        return hosts


def _hashes(records: bytes, number: int) -> set[bytes]:
    starts = range(0, len(records), RECORD)
    return {records[at : at + DIGEST] for at in starts if records[at + DIGEST] == number}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FloorUnavailableError(FloorState.MISSING, "the floor has not been compiled") from None
    except OSError as error:
        raise FloorUnavailableError(
            FloorState.UNREADABLE, f"the floor cannot be read: {error.strerror}"
        ) from None


def _key(path: Path) -> bytes:
    key = _bytes(path)
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise FloorUnavailableError(FloorState.UNREADABLE, "the floor's key may be read by other users")
    if len(key) != KEY_SIZE:
        raise FloorUnavailableError(FloorState.UNREADABLE, "the floor's key is damaged")
    return key
