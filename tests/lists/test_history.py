"""What changed, since when, and what lists share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from appliance.lists.history import HistoryError, change, floor_change, overlap, since
from appliance.lists.importer import Wanted, import_list
from appliance.lists.locked import FloorList

if TYPE_CHECKING:
    from tests.lists.conftest import School

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def _import(school: School, text: str, when: datetime = NOW, name: str = "mine") -> None:
    path = school.blocklists.parent / "list.txt"
    path.write_text(text)
    wanted = Wanted(name, name, ("dating",))
    import_list(path, wanted, school.paths, now=when, compile_all=school.compile)


@pytest.mark.slow
def test_what_an_edition_added_and_removed(school: School) -> None:
    """Counts are of all, doubles once; examples are written as people write them."""
    _import(school, "a.example\nb.example/x\nc.example\n")
    with pytest.raises(HistoryError, match="no earlier edition"):
        change(school.paths, "mine")
    _import(school, "c.example\nd.example\nd.example\ne.example\n", NOW + timedelta(days=1))
    found = change(school.paths, "mine", most=1)
    assert (found.added, found.removed) == (2, 2)
    assert found.examples_added == ("d.example",)
    assert found.examples_removed == ("a.example",)
    assert (found.old, found.new) == (NOW, NOW + timedelta(days=1))
    with pytest.raises(HistoryError, match="no list that was imported"):
        change(school.paths, "bets")


@pytest.mark.slow
def test_since_when_a_list_names_something(school: School) -> None:
    """Exactly where the edition before did not name it, else at the latest since that one."""
    _import(school, "a.example\n~x\n")
    later = NOW + timedelta(days=1)
    first = since(school.paths, "mine", "a.example")
    assert first is not None
    assert (first.date, first.exact) == (NOW, False)
    _import(school, "a.example\nb.example\n", later)
    old, new = since(school.paths, "mine", "a.example"), since(school.paths, "mine", "b.example")
    assert old is not None
    assert new is not None
    assert (old.date, old.exact, new.date, new.exact) == (NOW, False, later, True)
    assert since(school.paths, "bets", "bets.example") is None


@pytest.mark.slow
def test_what_lists_have_in_common(school: School) -> None:
    """Two lists that hold the same names are found, with how many and of how many."""
    _import(school, "bets.example\ncasino.test\nown.example\n")
    (pair,) = overlap(school.paths.table)
    assert set(pair.lists) == {"bets", "mine"}
    assert pair.common == 2
    assert {pair.first, pair.second} == {3}


@pytest.mark.slow
def test_of_a_statutory_list_there_are_numbers_only(school: School) -> None:
    """The account of its last change has no place for an entry."""
    manifest = school.compile().floor
    found = floor_change(manifest.lists, "iwf")
    assert isinstance(found, FloorList)
    assert (found.added, found.removed) == (3, 0)
    assert floor_change(manifest.lists, "bets") is None
    school.write("floor.txt", "http://floor.example/folder/\n")
    changed = school.compile().floor.lists[0]
    assert (changed.added, changed.removed) == (0, 2)
    assert school.compile().floor.lists[0].removed == 2
