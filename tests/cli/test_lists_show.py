"""How list answers are shown."""

from __future__ import annotations

import pytest

from appliance.cli.lists_show import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.example", "a.example"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("a\nb", "a\\nb"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("münchen", "münchen"),
    ],
)
def test_text_cannot_steer_a_terminal(text: str, shown: str) -> None:
    """Escape sequences, line ends and direction marks in an address or reason are written out."""
    assert plain(text) == shown


def test_line_ends_may_be_kept() -> None:
    """Several problems come on several lines."""
    assert plain("a\nb", keep="\n") == "a\nb"
