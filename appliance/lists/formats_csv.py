"""Tables with a column of addresses, as suppliers export them.

What lives only here: which column of a comma-separated file holds the entries.
"""

from __future__ import annotations

import csv
from collections.abc import Callable

from appliance.config.problems import InWordsError
from appliance.lists.formats_line import Meaning, Skip

_USUAL = (
    "domain",
    "host",
    "hostname",
    "url",
    "address",
    "site",
    "name",
    "ip",
    "network",
    "cidr",
    "indicator",
)
_DELIMITERS = ";\t|"


class ColumnError(InWordsError):
    """The file has no such column; the message says which it has."""


def csv_reader(column: str = "") -> Callable[[str], Meaning]:
    """Return a reader of lines that takes the entry from one column.

    `column` is its name in the first line, or its number from 1; without it, the first line must
    have a usual name (`domain`, `url`). Raises `ColumnError` at the first line that does not.
    """
    if column.isdecimal() and int(column) > 0:
        return _Rows(column, int(column) - 1)
    return _Rows(column)


class _Rows:
    def __init__(self, column: str, at: int = -1) -> None:
        self._column = column
        self._at = at
        self._delimiter = ""

    def __call__(self, line: str) -> Meaning:
        if line[0] == "#":
            return None
        first = not self._delimiter
        if first:
            self._delimiter = max(",", *_DELIMITERS, key=line.count) if line else ","
        try:
            cells = next(csv.reader([line], delimiter=self._delimiter, skipinitialspace=True))
        except csv.Error:
            return Skip("a row that cannot be read")
        if first and self._at < 0:
            self._at = self._found([cell.strip().lower() for cell in cells])
            return None
        text = cells[self._at].strip() if self._at < len(cells) else ""
        return (text.removeprefix("*.").removeprefix("."),) if text else Skip("the column is empty")

    def _found(self, heads: list[str]) -> int:
        for name in (self._column.lower(),) if self._column else _USUAL:
            if name in heads:
                return heads.index(name)
        wanted = f"no column {self._column!r}" if self._column else "no column of addresses that is known"
        raise ColumnError(
            f"{wanted} in the first line; give its number, or one of its names: "
            f"{', '.join(ascii(head)[1:-1] for head in heads[:20])}"
        )
