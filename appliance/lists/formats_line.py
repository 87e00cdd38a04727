"""What the readers of list formats share: the meaning of a line, and where its comment begins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

EXPRESSION = "~"
"""Marks a regular expression among what a line lists."""
EXCEPTION = "@@"
"""Marks a name that the list itself takes back."""

_COMMENT = re.compile(r"\s+[#;].*$")


class Skip(NamedTuple):
    """The line is understood, and is of no use to a gateway."""

    why: str


type Meaning = tuple[str, ...] | Skip | None
"""What a line lists; why it is skipped; or nothing, where it is furniture."""


def without_comment(line: str) -> str:
    """Cut off `  # comment` and `  ; comment`."""
    return _COMMENT.sub("", line) if "#" in line or ";" in line else line


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that hold something, without the `*.` and `.` that mean sub-domains."""
    return tuple(text.removeprefix("*.").removeprefix(".") for text in texts if text)
