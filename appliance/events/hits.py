"""Floor hits, told by each worker to all the others, so that a client is not counted twice over.

What lives only here: a small ring in a mapped file, `STATE/floor-hits.ring`. It holds when which client met
the statutory lists, and one byte that tells one address from the next; no address, and nothing from which
one could be guessed. Reading it costs one look at a counter while nothing is new.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import mmap
import os
import secrets
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2s
from pathlib import Path

HITS_FILE = "floor-hits.ring"
SLOTS = 4096
"""Hits that the ring holds: some hundreds of pauses, and each worker reads along with every request."""

type Hit = tuple[str, int, datetime]
"""The client, a mark that differs from that of most other addresses, and when."""

_MAGIC = b"HITS\x00v1\n"
_HEAD = struct.Struct("<8sQ16s")  # magic, hits so far, key of the marks
_RECORD = struct.Struct("<dB55p")  # seconds since 1970, mark, client
_SIZE = _HEAD.size + SLOTS * _RECORD.size
_COUNT = struct.Struct("<Q")
_AT_COUNT = len(_MAGIC)
_TRIES = 1000


class Hits:
    """The ring, as one worker holds it; OSError where the file cannot be made."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            self._make_whole()
            self._map = mmap.mmap(self._file, _SIZE)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        _, _, self._key = _HEAD.unpack_from(self._map)
        # A worker that starts anew takes up what was counted before: to kill one must not help a guesser.
        self._seen = max(0, self._count() - SLOTS)

    def tell(self, client: str, what: str, now: datetime) -> None:
        """Tell all workers, this one included, that `client` met the lists with the address `what`."""
        mark = blake2s(what.encode("utf-8", "replace"), digest_size=1, key=self._key).digest()[0]
        self._lock()
        try:
            count = self._count()
            at = _HEAD.size + count % SLOTS * _RECORD.size
            _RECORD.pack_into(self._map, at, now.timestamp(), mark, client.encode("utf-8", "replace"))
            _COUNT.pack_into(self._map, _AT_COUNT, count + 1)  # last: who reads sees whole records only
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def news(self) -> Iterable[Hit]:
        """Return the hits that this worker has not been told of yet."""
        count = self._count()
        if count == self._seen:
            return ()
        first = max(self._seen, count - SLOTS)
        self._seen = count
        return [hit for number in range(first, count) if (hit := self._hit(number))]

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._file)

    def _count(self) -> int:
        (count,) = _COUNT.unpack_from(self._map, _AT_COUNT)
        return int(count)

    def _hit(self, number: int) -> Hit | None:
        at = _HEAD.size + number % SLOTS * _RECORD.size
        seconds, mark, client = _RECORD.unpack_from(self._map, at)
        if not math.isfinite(seconds):
            return None  # the file was damaged
        with contextlib.suppress(OverflowError, ValueError, OSError):
            return client.decode("utf-8", "replace"), mark, datetime.fromtimestamp(seconds, UTC)
        return None

    def _lock(self) -> None:
        # A worker that was stopped amid this must not stop the others: at worst one hit is not counted.
        for _ in range(_TRIES):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return

    def _make_whole(self) -> None:
        if os.fstat(self._file).st_size == _SIZE and os.pread(self._file, len(_MAGIC), 0) == _MAGIC:
            return
        os.ftruncate(self._file, 0)
        # Every block now: one that is missing later, on a full disk, would end the worker that writes to it.
        os.posix_fallocate(self._file, 0, _SIZE)
        os.pwrite(self._file, _HEAD.pack(_MAGIC, 0, secrets.token_bytes(16)), 0)
