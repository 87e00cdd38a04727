"""What the readers share."""

from __future__ import annotations

import pytest

from appliance.lists.formats_line import names_in, without_comment


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.example # why", "a.example"),
        ("a.example\t; why", "a.example"),
        ("a.example/#part", "a.example/#part"),
        ("a.example", "a.example"),
    ],
)
def test_comment_needs_a_space_before_it(line: str, expected: str) -> None:
    """A fragment in a URL is not taken for a comment."""
    assert without_comment(line) == expected


def test_empty_names_are_left_out() -> None:
    """`address=//x/` names one host, not an empty one besides."""
    assert names_in(["", "*.a.example", ".b.example"]) == ("a.example", "b.example")
