"""What is printed: headings, sentences, tables and bars, whatever they are printed with.

What lives only here: what a report hands to whoever prints it, and which of its cells are figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title; `note` is said below it. `bars` draws the last column, which holds numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """What is printed: a title, sentences below it, and tables; `foot` stands below each page."""

    title: str
    made: datetime
    sentences: Sequence[str]
    tables: Sequence[Table] = ()
    foot: str = ""
    language: str = field(default="en-GB")


def like_a_number(text: str) -> bool:
    """Return whether a cell is one of figures, and stands at the right of its column."""
    return not text or text[0].isdigit() or text.startswith(("fewer", "not shown", "-", "+"))


def number(text: str) -> int:
    """Return the number in a cell; 0 where there is none, or it is not shown."""
    digits = text.replace(",", "")
    return int(digits) if digits.isdigit() else 0
