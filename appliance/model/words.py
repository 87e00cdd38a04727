"""What somebody has said, as a person reads it: the reason or purpose that is kept with what they did.

What lives only here: what counts as blank. Marks that nobody can see are no words, whoever typed them.
"""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Return a text without marks that nobody can see; blanks of every kind become one blank each time."""
    kept = (" " if mark.isspace() else mark for mark in text if not _unseen(mark))
    return " ".join("".join(kept).split())


def said(text: str) -> str:
    """Return what was said, as it is kept; an empty text where there is neither letter nor digit in it."""
    words = visible(text)
    return words if any(mark.isalnum() for mark in words) else ""


def _unseen(mark: str) -> bool:
    return not mark.isspace() and unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Co", "Cn")
