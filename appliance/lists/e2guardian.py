"""e2guardian's list folders: site lists, URL lists and expressions, with what they include.

What lives only here: which of its many files name sites, what their lines mean, and where
`.Include<...>` leads. Phrase lists, file types and the rest are settings of another program, not
lists of sites; they are left out by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from appliance.lists.formats_line import EXPRESSION, Meaning, Skip, without_comment
from appliance.lists.unpack import Member, Progress, members

MOST_INCLUDES = 200
"""Files that are read because another includes them."""

_LIST = re.compile(r"(?:local)?(banned|exception)(?:ssl)?(site|siteip|url|regexpurl)list")
_INCLUDE = re.compile(r"\.Include<([^<>]+)>", re.IGNORECASE)
_BLANKET = re.compile(r"\*{1,2}(ip|s|ips)?")


def list_files(
    path: Path, use: str, progress: Progress | None = None
) -> Iterator[tuple[Member, Callable[[str], Meaning]]]:
    """Yield each file that names sites, with a reader of its lines.

    For the use `allow` those are the exceptions, for any other what is banned. Files which these
    include are found by the end of their path, within the source and nowhere else. Each member is
    to be read before the next is asked for. Raises `SourceError`.
    """
    wanted: dict[str, str] = {}
    read: set[str] = set()
    while True:
        included: dict[str, str] = {}
        for member in members(path, progress):
            kind = _kind(member.name, use) or _included_as(member.name, wanted)
            if member.link or not kind or member.name in read or len(read) > MOST_INCLUDES:
                continue
            read.add(member.name)
            yield member, _Lines(kind, included)
        if included.keys() <= wanted.keys():
            return
        wanted |= included
        progress = None  # the source is read again for them, which is no progress


def _kind(name: str, use: str) -> str:
    match = _LIST.fullmatch(PurePosixPath(name.rpartition("!")[2]).name)
    if not match or (match[1] == "exception") is not (use == "allow"):
        return ""
    return match[2]


def _included_as(name: str, wanted: dict[str, str]) -> str:
    place = "/" + name.rpartition("!")[2].strip("/")
    for target, kind in wanted.items():
        # The folder may have been copied from /etc/e2guardian to anywhere, or packed from the root down.
        whole = "/" + target.strip("/")
        if whole.endswith(place) or place.endswith(whole):
            return kind
    return ""


class _Lines:
    """Reads the lines of one file, and notes what it includes."""

    def __init__(self, kind: str, included: dict[str, str]) -> None:
        self._kind = kind
        self._included = included

    def __call__(self, line: str) -> Meaning:
        if line.startswith("#time:"):
            return Skip("applies at certain times only")
        if line[0] == "#":
            return None
        if match := _INCLUDE.match(line):
            self._included[match[1].strip()] = self._kind
            return None
        if self._kind == "regexpurl":
            return (EXPRESSION + line,)
        text = without_comment(line)
        if _BLANKET.fullmatch(text):
            return Skip("bars everything that no other list opens")
        if " " in text or "\t" in text:
            return Skip("more than one word on the line")
        return (text.removeprefix("."),)
