"""Tables with a column of addresses."""

from __future__ import annotations

import pytest

from appliance.lists.formats_csv import ColumnError, csv_reader
from appliance.lists.formats_line import Meaning, Skip


def _read(text: str, column: str = "") -> list[Meaning]:
    reader = csv_reader(column)
    return [reader(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("id,Domain,score\n1,a.example,9", ""),
        ("id;host\n1;a.example", "HOST"),
        ("# made today\n1\ta.example\tx", "2"),
        ('"why, and how","url"\n"x, y","a.example"', "url"),
        ("name|domain\nx|*.a.example", "domain"),
    ],
)
def test_the_column_is_found(text: str, column: str) -> None:
    """By its name in any case, by its number, or as a usual name; quoted or not, with any separator."""
    assert _read(text, column)[-1] == ("a.example",)


def test_short_and_empty_rows_are_skipped() -> None:
    """A row without that column costs itself and says so."""
    found = _read("id,domain\n1\n2,\n3,b.example", "domain")
    assert found[0] is None
    assert isinstance(found[1], Skip)
    assert isinstance(found[2], Skip)
    assert found[3] == ("b.example",)


@pytest.mark.parametrize("column", ["", "adress", "0"])
def test_a_missing_column_says_which_there_are(column: str) -> None:
    """A wrong name must not end in an empty list."""
    with pytest.raises(ColumnError, match="id, what"):
        _read("id,what\n1,a.example", column)
