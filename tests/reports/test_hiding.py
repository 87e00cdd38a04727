"""Tests of small numbers: hidden, and not to be computed back from what is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.reports.hiding import LEAST, Cell, Cells, _determined, _row

type Key = tuple[str, ...]


def table(numbers: list[list[int]]) -> Cells[Key]:
    """Return a table of people with its sums by row, by column, and altogether."""
    cells: Cells[Key] = Cells()
    columns = range(len(numbers[0]))
    for at, row in enumerate(numbers):
        for column, count in enumerate(row):
            cells.put((f"r{at}", f"c{column}"), count, count)
        cells.put((f"r{at}",), sum(row), sum(row))
        cells.adds_up((f"r{at}",), [(f"r{at}", f"c{column}") for column in columns])
    for column in columns:
        whole = sum(row[column] for row in numbers)
        cells.put((f"c{column}",), whole, whole)
        cells.adds_up((f"c{column}",), [(f"r{at}", f"c{column}") for at in range(len(numbers))])
    total = sum(map(sum, numbers))
    cells.put(("all",), total, total)
    cells.adds_up(("all",), [(f"r{at}",) for at in range(len(numbers))])
    cells.adds_up(("all",), [(f"c{column}",) for column in columns])
    return cells


def computed(cells: Cells[Key], hidden: frozenset[Key]) -> set[Key]:
    """Return the hidden cells that a governor with a pencil can compute from the others."""
    order = sorted(hidden)
    place = {key: at for at, key in enumerate(order)}
    rows = [_row(total, parts, place) for total, parts in cells._sums]
    return {order[at] for at in _determined([row for row in rows if row])}


@pytest.mark.slow
@given(st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=2, max_size=4))
def test_no_small_number_can_be_read_or_computed(numbers: list[list[int]]) -> None:
    """S-48: whatever the table, a governor learns of no group of fewer than five how many they are."""
    cells = table(numbers)
    hidden = cells.hidden()
    small = {key for key, cell in cells._cells.items() if 0 < cell.people < LEAST}
    assert small <= hidden
    assert not computed(cells, hidden) & small
    for total, parts in cells._sums:
        inside = [cells._cells[key].people for key in parts if key in hidden]
        assert not inside or total in hidden or sum(inside) >= LEAST


def test_a_table_without_small_numbers_is_shown_whole() -> None:
    """Nothing is hidden that tells of nobody: zeros and large numbers stay."""
    assert table([[0, 9], [12, 7]]).hidden() == frozenset()


def test_one_small_cell_takes_the_least_of_its_neighbours_along() -> None:
    """The reader loses as little as can be."""
    hidden = table([[2, 50, 70], [60, 6, 80]]).hidden()
    assert hidden == {("r0", "c0"), ("r0", "c1"), ("r1", "c0"), ("r1", "c1")}


def test_it_is_people_that_count_and_not_what_they_did() -> None:
    """A hundred accesses of one child are one child."""
    cells: Cells[Key] = Cells()
    cells.put(("a",), 100, 1)
    cells.put(("b",), 4, 0)
    hidden = cells.hidden()
    assert cells.text(("a",), hidden) == "fewer than 5 people"
    assert cells.text(("b",), hidden) == "4"
    assert Cell(1, 1) == Cell(1, 1)


def test_a_total_that_repeats_its_only_part_is_hidden_with_it() -> None:
    """The same figure under two names is hidden under both."""
    cells: Cells[Key] = Cells()
    cells.put(("part",), 3, 3)
    cells.put(("whole",), 3, 3)
    cells.put(("other",), 30, 30)
    cells.adds_up(("whole",), [("part",)])
    assert cells.hidden() == {("part",), ("whole",)}


def test_equations_are_solved_over_several_tables() -> None:
    """What no single sum gives away may follow from two."""
    rows = [_row("t", ["a", "b"], {"a": 0, "b": 1}), _row("u", ["a"], {"a": 0})]
    assert _determined(rows) == {0, 1}
    assert _determined(rows[:1]) == set()
