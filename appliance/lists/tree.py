"""squidGuard's layout, as UT1 comes in it: a folder a category, with domains, urls and expressions.

What lives only here: which file of such a collection belongs to which category, and how it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from appliance.lists.formats import Format
from appliance.lists.unpack import members

KINDS = {"domains": Format.DOMAINS, "urls": Format.URLS, "expressions": Format.EXPRESSIONS}
"""The files of a category that hold entries."""
USAGE = "usage"
FURNITURE = frozenset([USAGE, "global_usage", "README", "LICENSE.pdf", "cc-by-sa-4-0.pdf"])
"""Files that hold no entries."""
MOST_FOLDERS = 500


class Place(NamedTuple):
    """Where a member stands in a collection: its category folder ("" at the top) and its file name."""

    folder: str
    file: str


@dataclass(slots=True)
class Survey:
    """What a collection holds, found without reading it. `aliases` maps other names to folders."""

    folders: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)

    def names_of(self, folder: str) -> tuple[str, ...]:
        """Return the other names of a folder."""
        return tuple(sorted(alias for alias, target in self.aliases.items() if target == folder))


def place_of(member: str) -> Place:
    """Return where a member stands, from its name within a folder or archive."""
    *folders, file = member.rpartition("!")[2].strip("/").split("/")
    return Place(folders[-1] if folders else "", file)


def survey(path: Path) -> Survey:
    """Look through a source; it is no collection when no folder is found. Raises `SourceError`."""
    found = Survey()
    for member in members(path):
        place = place_of(member.name)
        if member.link:
            found.aliases[place.file] = member.link.strip("/").rpartition("/")[2]
        elif place.file in KINDS and place.folder and len(found.folders) < MOST_FOLDERS:
            found.folders.add(place.folder)
    return found
