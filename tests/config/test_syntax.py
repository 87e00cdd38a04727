"""Text that is no YAML, and bytes that are no text."""

from __future__ import annotations

import pytest

from appliance.config.problems import ProblemsError
from appliance.config.syntax import check_text


def problem(raw: bytes) -> str:
    with pytest.raises(ProblemsError) as caught:
        check_text(raw, "f.yaml")
    return str(caught.value)


def test_a_byte_order_mark_does_no_harm() -> None:
    """Windows editors write one; a technician cannot see it, and should not have to."""
    assert check_text(b"\xef\xbb\xbfa: 1\n", "f.yaml") == "a: 1\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: 1\nb: caf\xe9\n", "f.yaml:2:7: the byte 0xe9 is no UTF-8; save the file as UTF-8"),
        ("a: ü\nb: ".encode() + b"\xff", "f.yaml:2:4: the byte 0xff is no UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "f.yaml:1:1: saved as UTF-16; save it as UTF-8"),
        (b"a: 1\nb: \x00\n", "f.yaml:2:4: the control character '\\x00' does not belong in a text file"),
        (b"a: \x1b[31m", "f.yaml:1:4: the control character '\\x1b' does not belong in a text file"),
    ],
)
def test_what_is_no_text_is_said_with_its_place(raw: bytes, message: str) -> None:
    """Latin-1, UTF-16, NUL and escape sequences get a line, a column and a way out."""
    assert problem(raw) == message


def test_a_thousand_wrong_bytes_are_one_problem() -> None:
    """A binary file by mistake does not flood the terminal."""
    assert problem(b"\x00" * 1000).count("\n") == 0
