from __future__ import annotations

from pathlib import Path

import pytest

from appliance.portal.cards import sheet, write_sheet


def test_a_sheet_shows_each_class_its_pictures_in_order() -> None:
    """S-03: a card that is cut out tells a class all it needs, and another class nothing."""
    html = sheet(
        "Westways <School>", [("Class 1B", ("fish", "moon", "apple")), ("Class 2A", ("boat", "star", "key"))]
    )
    first = html[html.index("<h1>Class 1B") : html.index("<h1>Class 2A")]
    assert first.index("1. fish") < first.index("2. moon") < first.index("3. apple")
    assert "boat" not in first
    assert first.count("<svg") == 3
    assert "Westways &lt;School&gt;" in html


def test_a_sheet_is_nobody_elses_to_read_and_overwrites_nothing(tmp_path: Path) -> None:
    """The one file with passwords that can be read is its owner's alone."""
    path = tmp_path / "cards.html"
    write_sheet(path, "x")
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        write_sheet(path, "y")
