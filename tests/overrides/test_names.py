from __future__ import annotations

import pytest

from appliance.overrides.names import OverrideError, sentence, short


@pytest.mark.parametrize(
    "text", ["", "   ", "\u200b\u200b \u200b", "...", "for the lesson", "1 2 3 4 5", "a " * 400]
)
def test_a_reason_of_blanks_is_none(text: str) -> None:
    """A reason that nobody can read later is as good as none (T:260, clear reasons for the need)."""
    with pytest.raises(OverrideError, match="the reason"):
        sentence(text)


def test_a_reason_is_kept_in_one_line() -> None:
    """What is shown in a table must not steer a terminal or hide its end."""
    assert sentence(" We compare\ntwo\t museums. \x1b[2J") == "We compare two museums. [2J"
    assert short(" Year 5  history ") == "Year 5 history"


@pytest.mark.parametrize("text", ["", " - ", "x" * 61])
def test_a_subject_says_which_lesson(text: str) -> None:
    """A governor who reads the list sees what each was for."""
    with pytest.raises(OverrideError, match="the subject"):
        short(text)
