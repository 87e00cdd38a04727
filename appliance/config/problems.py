"""What is wrong with a file, said so that a technician can put it right.

What lives only here: the form `file:line:column: what, and what else was possible`, and the search
for the nearest known name. A bad file is answered by all of its problems, not by the first.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_SHOWN_NAMES = 12


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1, as editors do."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class InWordsError(Exception):
    """What could not be done and why, in words for whoever asked for it; no traceback is needed."""


class ProblemsError(InWordsError):
    """Everything that is wrong with what was read: sorted by place, each problem once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name that `word` most likely stands for, or an empty text."""
    names = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else ""


def unknown(kind: str, word: str, known: Collection[str]) -> str:
    """Return "unknown category 'gamblng'; did you mean 'gambling'?" and what else was possible.

    `kind` says what was expected. Of a long list the names most like `word` are shown, and the others
    counted.
    """
    names = sorted(known)
    guess = nearest(word, names)
    text = f"unknown {kind} {word!r}"
    if guess:
        text += f"; did you mean {guess!r}?"
    others = [name for name in names if name != guess]
    if not names:
        return f"{text}; there is none to choose from"
    if not others:
        return text
    shown = others
    if len(others) > _SHOWN_NAMES:
        shown = difflib.get_close_matches(word, others, n=_SHOWN_NAMES, cutoff=0.5) or others[:_SHOWN_NAMES]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    return text + (" Also possible: " if guess else "; possible: ") + ", ".join(shown) + more
