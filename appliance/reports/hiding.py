"""Small numbers hidden, so that no table tells of one child: k-anonymity with complementary cells.

What lives only here: which cells are hidden. A cell in which fewer than `least` people stand is; then others
are, until no hidden small one can be computed from the cells, sums and totals that are shown, in one table or
across all tables of the report. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

LEAST = 5
"""Fewest people in a cell that is shown to governors."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A count, and how many people stand behind it."""

    count: int
    people: int


@dataclass(slots=True)
class Cells[K: Hashable]:
    """Every figure of a report that counts what people did, and which is the sum of which others."""

    least: int = LEAST
    _cells: dict[K, Cell] = field(default_factory=dict)
    _sums: list[tuple[K, tuple[K, ...]]] = field(default_factory=list)

    def put(self, key: K, count: int, people: int) -> None:
        """Give a figure."""
        self._cells[key] = Cell(count, people)

    def adds_up(self, total: K, parts: Iterable[K]) -> None:
        """Say that a figure is the sum of others; all of them must have been given."""
        found = tuple(parts)
        if missing := [key for key in (total, *found) if key not in self._cells]:
            raise KeyError(f"no figure for {missing[0]!r}")
        self._sums.append((total, found))

    def hidden(self) -> frozenset[K]:
        """Return what must not be shown: small cells, and those by which they could be computed."""
        small = {key for key, cell in self._cells.items() if 0 < cell.people < self.least}
        hidden = set(small)
        while True:
            more = self._alone(hidden) or self._solved(hidden, small)
            if more is None:
                return frozenset(hidden)
            hidden.add(more)

    def text(self, key: K, hidden: frozenset[K]) -> str:
        """Return a figure as it is printed."""
        cell = self._cells[key]
        if key not in hidden:
            return f"{cell.count:,}"
        return f"fewer than {self.least} people" if cell.people < self.least else "not shown"

    def _alone(self, hidden: set[K]) -> K | None:
        # Where the hidden parts of a sum are one, or few people together, the sum gives them away.
        for total, parts in self._sums:
            inside = [key for key in parts if key in hidden]
            exposed = inside and total not in hidden
            few = sum(self._cells[key].people for key in inside) < self.least or len(inside) == 1
            only_total = total in hidden and not inside and any(self._cells[key].count for key in parts)
            given_away = (exposed and few) or only_total
            if given_away and (found := self._next((*parts, total), hidden)) is not None:
                return found
        return None

    def _solved(self, hidden: set[K], small: set[K]) -> K | None:
        # A small cell that the equations determine altogether, over however many of them.
        order = [key for key in self._cells if key in hidden]
        place = {key: at for at, key in enumerate(order)}
        rows = [_row(total, parts, place) for total, parts in self._sums]
        found = _determined([row for row in rows if row])
        for at in sorted(found):
            if order[at] in small:
                return self._beside(order[at], hidden)
        return None

    def _beside(self, key: K, hidden: set[K]) -> K | None:
        for total, parts in self._sums:
            if key in parts or key == total:
                found = self._next((*parts, total), hidden)
                if found is not None:
                    return found
        return None

    def _next(self, keys: Iterable[K], hidden: set[K]) -> K | None:
        # The least loss for the reader: what has people in it before what is empty, and few before many.
        left = [key for key in dict.fromkeys(keys) if key not in hidden]
        return min(left, key=lambda key: (not self._cells[key].count, self._cells[key].count), default=None)


def _row[K: Hashable](total: K, parts: Iterable[K], place: Mapping[K, int]) -> dict[int, Fraction]:
    row = {place[key]: Fraction(1) for key in parts if key in place}
    if total in place:
        row[place[total]] = Fraction(-1)
    return row


def _determined(rows: list[dict[int, Fraction]]) -> set[int]:
    """Return the unknowns that equations with these left sides fix: Gauss-Jordan elimination."""
    done: list[tuple[int, dict[int, Fraction]]] = []
    for given in rows:
        row = dict(given)
        for pivot, other in done:
            _take_out(row, pivot, other)
        if not row:
            continue
        lead = min(row)
        row = {at: value / row[lead] for at, value in row.items()}
        for _, other in done:
            _take_out(other, lead, row)
        done.append((lead, row))
    return {lead for lead, row in done if len(row) == 1}


def _take_out(row: dict[int, Fraction], pivot: int, other: Mapping[int, Fraction]) -> None:
    factor = row.get(pivot)
    if not factor:
        return
    for at, value in other.items():
        row[at] = row.get(at, Fraction(0)) - factor * value
        if not row[at]:
            del row[at]
