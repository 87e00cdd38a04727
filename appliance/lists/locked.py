"""The statutory lists, as keyed hashes only: what must not be seen is not there to be seen.

What lives only here: the file of the floor and its key, and the question whether it names an
address. The file holds 16 bytes of HMAC-SHA256 for each canonical expression (Safe Browsing
v4), sorted; no entry and no address. It is not browsable: whoever holds file and key can still
test guesses. A floor that is missing, unreadable or stale says so, and the gate closes.
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

from appliance.lists.expressions import covering, host_suffixes
from appliance.lists.paths import Paths
from appliance.model.known import Floor, FloorState
from appliance.model.url import Url

DIGEST = 16
"""Bytes of each hash that are kept."""
SEAL = 32
"""Bytes at the end that prove the file whole and made with this key."""
KEY_SIZE = 32
DEVELOPMENT = "development list: this is not compliance (DFE-F3)"
"""What every report says while the synthetic list is in force."""

_OTHERS_MAY_READ = 0o077
_MOST_HOSTS = 4096
_CLOCK_ERROR = 24 * 3600.0
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class FloorList:
    """What may be said of one statutory list."""

    id: str
    title: str
    category: str
    mode: str
    version: str
    entries: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the file says of itself. `compiled_at` is seconds since 1970, of the list's own date."""

    compiled_at: float
    lists: tuple[FloorList, ...] = ()
    hosts: int = 0
    entries: int = 0

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


class _Contents:
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
        hosts, entries = self.manifest.hosts, self.manifest.entries
        self.hosts = frozenset(records[at : at + DIGEST] for at in range(0, hosts * DIGEST, DIGEST))
        self.records = records[hosts * DIGEST :]
        self._count = entries

    def find(self, digest: bytes) -> FloorList | None:
        """Return the list that holds the expression with this hash."""
        low, high, width = 0, self._count, DIGEST + 1
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
        self._contents: _Contents | None = None
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._answers: dict[FloorState, Floor] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again; whatever stands in its way becomes the state."""
        self._hosts = {}
        self._contents = None
        try:
            self._contents = _Contents(self._paths)
            detail, broken = (DEVELOPMENT if self._contents.manifest.synthetic else ""), FloorState.UNREADABLE
        except FloorUnavailableError as error:
            detail, broken = str(error), error.state
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, the gate closes
            detail, broken = f"the floor cannot be read ({type(error).__name__})", FloorState.UNREADABLE
        self._broken = Floor(broken, detail=detail)
        stale = f"the floor is older than {self._max_age / _HOUR:g} hours, or dated in the future"
        self._answers = {
            FloorState.OK: Floor(FloorState.OK, detail=detail),
            FloorState.STALE: Floor(FloorState.STALE, detail=f"{stale}; {detail}" if detail else stale),
        }

    @property
    def manifest(self) -> Manifest | None:
        """What may be said of the lists in force, if they could be read."""
        return self._contents.manifest if self._contents else None

    def state(self) -> Floor:
        """Return whether the floor can be relied upon now, about no address."""
        if self._contents is None:
            return self._broken
        age = self._clock() - self._contents.manifest.compiled_at
        return self._answers[FloorState.OK if -_CLOCK_ERROR <= age <= self._max_age else FloorState.STALE]

    def check(self, url: Url) -> Floor:
        """Return the lists' answer for `url`: a hit counts even when the floor is stale."""
        contents, answer = self._contents, self.state()
        if contents is None:
            return answer
        hosts = self._hosts.get(url.host)
        if hosts is None:
            hosts = self._listed(contents, url)
        for host in hosts:
            for expression in covering(host, url):
                if found := contents.find(digest_expression(contents.key, expression)):
                    return replace(answer, list=found.id, version=found.version, category=found.category)
        return answer

    def has_urls_on(self, url: Url) -> bool:
        """Tell whether another path on the same host could have another answer."""
        return self._contents is not None and bool(self._hosts.get(url.host, ("not asked yet",)))

    def _listed(self, contents: _Contents, url: Url) -> tuple[str, ...]:
        """Return the suffixes of the host below which something is listed: nearly always none."""
        if len(self._hosts) >= _MOST_HOSTS:
            self._hosts.clear()
        hosts = tuple(
            host for host in host_suffixes(url) if digest_host(contents.key, host) in contents.hosts
        )
        self._hosts[url.host] = hosts
        return hosts


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
