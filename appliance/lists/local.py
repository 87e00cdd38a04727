"""The school's own decisions: this site open, that one closed, and why.

What lives only here: the file of local decisions. It is only ever added to (who, when, why; a
removal is a line as well), and is small, so that workers read it anew when it changes and a
decision is in force within a second, without a compile.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from appliance.config.problems import InWordsError
from appliance.lists.entries import EntryRefusedError, key_of, shown
from appliance.lists.overlay import Overlay
from appliance.lists.paths import make_folder, open_owned
from appliance.lists.suffixes import public_suffixes
from appliance.model.known import Match, Use

LOCAL = "local"
"""The id under which local decisions appear in reasons and logs."""


_ALL_BELOW = re.compile(r"^(https?://)?\*?\.(?=[^./])")


type _Pair = tuple[str, str]
"""A use and a key: one decision is in force for each."""


class LocalRefusedError(InWordsError):
    """The decision cannot be taken; the message says why."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    who: str
    act: Literal["add", "remove"]
    use: Literal["block", "allow"]
    entry: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What is in force: `matches` by (use, key), and how many lines of the file could not be read."""

    matches: dict[tuple[str, str], Match]
    broken: int = 0

    def overlay(self) -> Overlay:
        """Return the decisions in the form that is looked up."""
        return Overlay((key, match) for (_, key), match in self.matches.items())


class LocalFile:
    """The file of local decisions."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, use: Use, entry: str, *, because: str, who: str, at: datetime) -> str:
        """Block or allow a host or URL and return the entry as it is kept; `at` is aware.

        Raises `LocalRefusedError` for what is no address, would cover everybody's sites, or has
        no reason.
        """
        if use not in {Use.BLOCK, Use.ALLOW}:
            raise LocalRefusedError("a local decision blocks or allows")
        if not because.strip():
            raise LocalRefusedError("say why, so that the next person knows (--because)")
        entry = shown(local_key(entry))
        with self._alone() as file:
            _write(file, _line(at=at, who=who, act="add", use=use, entry=entry, because=because.strip()))
        return entry

    def remove(self, entry: str, *, because: str, who: str, at: datetime) -> tuple[Use, ...]:
        """Take back every local decision on exactly this entry and return which there were."""
        key = local_key(entry)
        if not self._path.exists():
            return ()
        with self._alone() as file:
            found = tuple(Use(use) for use, known in self.read().matches if known == key)
            for use in found:
                _write(file, _line(at=at, who=who, act="remove", use=use, entry=shown(key), because=because))
        return found

    def size(self) -> int:
        """Return how long the file is, for `undo`: it only ever grows."""
        return self._path.stat().st_size if self._path.exists() else 0

    def undo(self, size: int, reason: str, *, because: str, who: str, at: datetime) -> None:
        """Take back what was added with just this reason since the file had that size, and say why.

        What others added meanwhile stays.
        """
        if not self._path.exists():
            return
        # Nobody else adds a line meanwhile: one that closes a site must not come before ours that opens it.
        with self._alone() as file:
            file.seek(0)
            data = file.read()
            before, since = _lines_of(data[:size]), _lines_of(data[size:])
            others = [each for each in since if each[1].because != reason]
            now, meant = dict([*before, *since]), dict([*before, *others])
            for pair, line in now.items():
                was = meant.get(pair)
                if _open(line) == _open(was):
                    continue
                if was is None or was.act == "remove":
                    said = {"act": "remove", "at": at, "who": who, "because": because}
                    was = line.model_copy(update=said)
                _write(file, _line(**was.model_dump()))

    def read(self) -> Decisions:
        """Return what is in force now. A broken line is counted and costs itself alone."""
        matches: dict[tuple[str, str], Match] = {}
        broken = 0
        for text in self._lines():
            if (parsed := _parsed(text)) is None:
                broken += 1
                continue
            line, key = parsed
            matches.pop((line.use, key), None)
            if line.act == "add":
                version = line.at.isoformat(timespec="seconds")
                matches[line.use, key] = Match(LOCAL, version, line.entry, (), Use(line.use), line.because)
        return Decisions(matches, broken)

    def _lines(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                yield from (line for line in file if line.strip())
        except FileNotFoundError:
            return

    @contextmanager
    def _alone(self) -> Iterator[IO[bytes]]:
        make_folder(self._path.parent)
        with open_owned(self._path, "ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _write(file: IO[bytes], line: str) -> None:
    # A line cut short by a power failure must not swallow the next one.
    if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
        line = "\n" + line
    file.write(line.encode())
    file.flush()
    os.fsync(file.fileno())


def _parsed(text: bytes) -> tuple[_Line, str] | None:
    try:
        line = _Line.model_validate_json(text)
        return line, key_of(line.entry)
    except (ValidationError, EntryRefusedError):
        return None


def _lines_of(data: bytes) -> list[tuple[_Pair, _Line]]:
    found = filter(None, map(_parsed, data.split(b"\n")))
    return [((line.use, key), line) for line, key in found]


def _open(line: _Line | None) -> _Line | None:
    return line if line is not None and line.act == "add" else None


def _line(**values: object) -> str:
    return json.dumps(_Line.model_validate(values).model_dump(mode="json")) + "\n"


def local_key(entry: str) -> str:
    """Return the key of a local entry; LocalRefusedError where it is no address, or too wide."""
    text = entry.strip()
    try:
        # `*.example.org` means what `example.org` does: a name covers all names below it.
        key = key_of(_ALL_BELOW.sub(r"\1", text))
    except EntryRefusedError as error:
        raise LocalRefusedError(f"{error}: give a host such as example.org, or an address") from None
    if key.endswith(".") and shown(key) in public_suffixes():
        raise LocalRefusedError("this is a public suffix: it would cover everybody's sites below it")
    return key
