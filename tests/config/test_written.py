from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.config.written import FILE, read_written

GOOD = """title = "A policy"
statement = [
  { at = "W:7", subject = "gambling", part = "user actions", says = "%s" },
]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a" / FILE).write_text(text)
    return folder


def test_a_statement_knows_its_line(tmp_path: Path) -> None:
    """A finding names the line of the file, and the line of the school's document."""
    (written,) = read_written(write(tmp_path, GOOD % "forbidden"))
    assert (written.set, written.where("W:7")) == ("a", (str(tmp_path / "a" / FILE), 3))
    assert written.where("W:99")[1] == 1
    assert read_written(tmp_path / "none") == []


@pytest.mark.parametrize(("text", "said"), [(GOOD % "perhaps", "says"), ("title = [", "cannot be read")])
def test_what_cannot_be_understood_is_told(text: str, said: str, tmp_path: Path) -> None:
    """A slip in the file is an error in words."""
    with pytest.raises(ProblemsError, match=said):
        read_written(write(tmp_path, text))
