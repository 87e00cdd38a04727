"""Sites at which devices would not accept our certificate: perhaps their apps accept no other than their own.

What lives only here: the file STATE/handshakes.log, one line a failure with day and host, and what it
suggests. Nothing follows from it by itself: a technician decides. It holds no device and no person, and at
most twice `MOST_BYTES`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

FILE = "handshakes.log"
MOST_BYTES = 1_048_576
"""Size at which the file is put aside, in place of the one that was put aside before."""

DISTRUSTED, LEFT, OTHER = "distrusted", "left", "other"
"""The kinds of failure: the device says that it does not believe our certificate; it hangs up without a word,
as apps with a certificate of their own do; something else, such as a version of TLS that nobody speaks."""

_MARKS = {"does not trust": DISTRUSTED, "may not trust": DISTRUSTED, "disconnected during": LEFT}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One host: how often devices broke off, and on which days first and last."""

    host: str
    failures: int
    first: date
    last: date


def kind_of(why: str) -> str:
    """Return the kind of failure that mitmproxy's text tells of."""
    return next((kind for mark, kind in _MARKS.items() if mark in why), OTHER)


class Handshakes:
    """Writes down what failed; several workers write into the same file."""

    def __init__(self, state: Path | None) -> None:
        """Write below `state`, or nowhere at all."""
        self._path = state / FILE if state is not None else None

    def failed(self, host: str, why: str, today: date) -> None:
        """Note that a device broke off; `why` is mitmproxy's text, by which it may mean pinning."""
        if self._path is None or not host or kind_of(why) == OTHER:
            return
        with contextlib.suppress(OSError):  # a full disk costs a suggestion, nothing else
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                os.write(handle, f"{today.isoformat()} {host}\n".encode("ascii", "replace"))
                full = os.fstat(handle).st_size > MOST_BYTES
            finally:
                os.close(handle)
            if full:
                self._path.replace(_aside(self._path))


def suggestions(state: Path, at_least: int = 3) -> list[Suggestion]:
    """Return the hosts at which at least so many handshakes failed, most failures first."""
    found: dict[str, list[date]] = {}
    for day, host in _lines(state):
        found.setdefault(host, []).append(day)
    often = ((host, days) for host, days in found.items() if len(days) >= at_least)
    made = (Suggestion(host, len(days), min(days), max(days)) for host, days in often)
    return sorted(made, key=lambda one: (-one.failures, one.host))


def _lines(state: Path) -> Iterator[tuple[date, str]]:
    path = state / FILE
    for each in (_aside(path), path):
        text = ""
        with contextlib.suppress(OSError):
            text = each.read_text(encoding="ascii", errors="replace")
        yield from _read(text.splitlines())


def _read(lines: Iterable[str]) -> Iterator[tuple[date, str]]:
    for line in lines:
        day, _, host = line.partition(" ")
        with contextlib.suppress(ValueError):  # a line that was cut off
            if host:
                yield date.fromisoformat(day), host


def _aside(path: Path) -> Path:
    return path.with_suffix(".log.1")
