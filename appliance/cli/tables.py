"""A table that can be read on any terminal.

What lives only here: the choice between rows and blocks. Where a terminal is too narrow for the rows, eight
columns of three letters each help nobody: then each row is shown as a block, one line a value.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE = 240
"""Columns in a file or pipe, where there is no width to ask for: wide enough not to break ids and hashes."""

_FOLDED, _BETWEEN = 24, 1
"""Columns to which a long value may be folded, and those between two of them."""


def show(heads: Iterable[str], rows: Iterable[Iterable[str]], console: Console | None = None) -> None:
    """Print rows under their heads on standard output, or nothing where there is no row.

    The first value of a row is its name; empty values are left out of blocks. Values are plain text.
    """
    heads, cells = tuple(heads), [tuple(row) for row in rows]
    if not cells:
        return
    terminal = console or Console(highlight=False, markup=False)
    if not terminal.is_terminal:
        terminal = Console(highlight=False, markup=False, width=PIPE, file=terminal.file)
    if terminal.is_terminal and _least(heads, cells) > terminal.width:
        terminal.print(_blocks(heads, cells), overflow="fold")
    else:
        terminal.print(_table(heads, cells))


def _least(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> int:
    # The narrowest in which the rows are read with ease: long values may be folded, but not to shreds.
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    return sum(min(width, _FOLDED) + _BETWEEN for width in widths) - _BETWEEN


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _blocks(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Text:
    width = max(map(len, heads[1:]), default=0)
    blocks = []
    for name, *values in rows:
        lines = [
            f"  {head:<{width}}  {value}" for head, value in zip(heads[1:], values, strict=True) if value
        ]
        blocks.append(Text("\n".join(["", *lines])).join([Text(name, "bold"), Text("")]))
    return Text("\n").join(blocks)
