"""What a proposal changes in the files, line by line, as people read it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return a unified diff of all files, by their names; empty where nothing differs."""
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            told = (name if name in before else "(no such file)", name if name in after else "(no such file)")
            lines += difflib.unified_diff(old.splitlines(), new.splitlines(), *told, n=2, lineterm="")
    return lines
