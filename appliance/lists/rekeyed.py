"""Brings key files of an earlier version into the form of this one.

What lives only here: the old form of a key (`org.example.www.`, label by label) and the way from it. Without
this, lists that a school imported before an upgrade would name nothing after it, and nobody would notice.
"""

from __future__ import annotations

from pathlib import Path

from appliance.lists.formats_line import EXCEPTION, EXPRESSION
from appliance.lists.paths import replacing

OLD, NEW = ".keys", ".names"
"""How the names of key files end, in the old form and in the new one."""


def rekeyed(file: Path) -> Path:
    """Write the old key file anew beside itself, and return the new one; OSError where it cannot be."""
    target = file.with_suffix(NEW)
    with file.open(encoding="ascii", newline="\n") as old, replacing(target) as new:
        for line in old:
            new.write(f"{_backwards(line.removesuffix(chr(10)))}\n".encode("ascii"))
    return target


def _backwards(key: str) -> str:
    if key.startswith(EXPRESSION) or key[1:2] == "/" or key[0] == "=":
        return key  # expressions, networks and addresses by number are written as they were
    mark = EXCEPTION if key.startswith(EXCEPTION) else ""
    if mark and (key[3:4] == "/" or key[2:3] == "="):
        return key
    base, slash, path = key.removeprefix(mark).partition("/")
    return f"{mark}{'.'.join(base[:-1].split('.')[::-1])[::-1]}.{slash}{path}"
