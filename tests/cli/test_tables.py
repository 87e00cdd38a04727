"""Tables on terminals of every width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from appliance.cli.tables import show

HEADS = ("list", "about", "version")
ROWS = [("demo-gambling", "gambling", "sha256:0123456789ab"), ("mine", "", "sha256:abcdef012345")]


def shown(width: int, *, terminal: bool = True) -> list[str]:
    """Return the lines that a terminal of this width shows."""
    file = io.StringIO()
    show(HEADS, ROWS, Console(file=file, width=width, force_terminal=terminal, color_system=None))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "terminal"), [(100, True), (40, False)])
def test_where_there_is_room_a_row_is_a_line(width: int, *, terminal: bool) -> None:
    """A wide terminal has a table, and a pipe has one line a row, whatever the width."""
    lines = shown(width, terminal=terminal)
    assert len(lines) == 3
    assert "demo-gambling" in lines[1]
    assert "sha256:0123456789ab" in lines[1]


@pytest.mark.parametrize("width", [40, 30])
def test_on_a_narrow_terminal_a_row_is_a_block(width: int) -> None:
    """No value is cut into columns of three letters, and what is empty takes no line."""
    assert shown(width) == [
        "demo-gambling",
        "  about    gambling",
        "  version  sha256:0123456789ab",
        "mine",
        "  version  sha256:abcdef012345",
    ]


def test_nothing_is_nothing() -> None:
    """Without rows there are no heads either."""
    file = io.StringIO()
    show(HEADS, [], Console(file=file))
    assert file.getvalue() == ""
